"""Options that commands share, and what a shell completes after each. Completion loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from siliform.graph_ir.errors import UserError, nearest

PHASES = ("prefill", "decode")
#: (value of --bits, what it means): the usual ones; any format name and any policy.toml works too.
BITS = (
    ("int8", "int8 weights and activations"),
    ("w4a8", "int4 weights, int8 activations"),
    ("w4a16", "int4 weights, fp16 activations"),
    ("w2a8", "ternary weights, int8 activations"),
    ("w1a1", "binary weights and activations"),
    ("int16", "int16 weights and activations"),
    ("int4", "int4 weights and activations"),
    ("fp8_e4m3", "scaled fp8 on both sides"),
    ("mxfp4", "fp4 in blocks of 32 with a shared exponent"),
    ("mxfp8", "fp8 in blocks of 32 with a shared exponent"),
    ("fp16", "every float in fp16"),
    ("bf16", "every float in bf16"),
    ("fp32", "every float in fp32"),
    ("traced", "the formats that the model was traced with"),
)
LAWS = (("model", "realistic"), ("bound", "speed of light of the whole graph"))
OBJECTIVES = ("latency", "energy", "edp", "traffic")
#: Published JSON Schemas and the command whose --json each describes.
SCHEMAS = {
    "report": "siliform estimate --json",
    "graph": "siliform trace --json",
    "designs": "siliform designs --json",
    "shown-design": "siliform designs NAME --json",
    "models": "siliform models --json",
    "methods": "siliform methods --json",
    "demo": "siliform demo --json",
    "arena": "siliform arena --json",
    "serving": "siliform serve --json",
    "long-context": "siliform long-context --json",
    "cluster": "siliform cluster --json",
    "cluster-sweep": "siliform cluster --sweep --json",
    "sweep": "siliform sweep --json",
    "rtl-list": "siliform rtl list --json",
    "rtl-generate": "siliform rtl generate --json",
    "rtl-run": "siliform rtl run --json",
    "rtl-test": "siliform rtl test --json",
    "rtl-calibrate": "siliform rtl calibrate --json",
    "rtl-synth": "siliform rtl synth --json",
    "gpu-bench": "siliform gpu bench --json",
    "gpu-validate": "siliform gpu validate --json",
    "design": "a design file (TOML)",
    "study": "a study file (TOML)",
    "measurement": "a line of kernels/measurements/*.jsonl",
}

Completed = list[tuple[str, str]]


def _starting(incomplete: str, values: Completed) -> Completed:
    return [(value, about) for value, about in values if value.startswith(incomplete)]


def complete_model(incomplete: str) -> Completed:
    """Built-in names, the prefixes of other kinds of name, and saved graphs in the named folder."""
    from siliform.models.catalogue import MODELS
    from siliform.models.methods import METHODS

    found = [(name, spec.family) for name, spec in MODELS.items()]
    found += [(f"mixer:{method.name}", method.structure) for method in METHODS.values() if method.mixer]
    found += [("gemm:", "M,N,K[,format]: one product"), ("hf:", "a config.json"), ("py:", "file.py:callable")]
    folder = Path(incomplete).parent
    if folder.is_dir():
        found += [(str(file), "a saved graph") for file in sorted(folder.glob("*.graph"))]
    return _starting(incomplete, found)


def complete_design(incomplete: str) -> Completed:
    """Names of designs, and TOML files in the named folder."""
    from siliform.arch.design import design_names

    found = [(name, "a design of Siliform") for name in design_names()]
    folder = Path(incomplete).parent
    if folder.is_dir():
        found += [(str(file), "a TOML file") for file in sorted(folder.glob("*.toml"))]
    return _starting(incomplete, found)


def complete_method(incomplete: str) -> Completed:
    """Names of methods."""
    from siliform.models.methods import METHODS

    return _starting(incomplete, [(name, method.title) for name, method in METHODS.items()])


def complete_mixer(incomplete: str) -> Completed:
    """Names of methods that are mixers."""
    from siliform.models.methods import METHODS

    return _starting(incomplete, [(name, method.title) for name, method in METHODS.items() if method.mixer])


def complete_section(incomplete: str) -> Completed:
    """Sections of the catalogue of methods."""
    from siliform.models.methods import SECTIONS

    return _starting(incomplete, list(SECTIONS.items()))


def complete_bits(incomplete: str) -> Completed:
    """The usual values."""
    return _starting(incomplete, list(BITS))


def complete_law(incomplete: str) -> Completed:
    """The laws."""
    return _starting(incomplete, list(LAWS))


def complete_objective(incomplete: str) -> Completed:
    """The mapper's objectives."""
    return _starting(incomplete, [(name, "the mapper minimises it") for name in OBJECTIVES])


def complete_phase(incomplete: str) -> Completed:
    """The phases."""
    return _starting(incomplete, [("prefill", "the whole input at once"), ("decode", "one new token")])


def complete_schema(incomplete: str) -> Completed:
    """Names of the published schemas."""
    return _starting(incomplete, list(SCHEMAS.items()))


def complete_set(ctx: typer.Context, incomplete: str) -> Completed:
    """``unit.parameter=`` of the chosen design, and its legal words after the sign."""
    from siliform.arch.design import load_design
    from siliform.arch.parameter import parameters_of

    try:
        chip = load_design(ctx.params.get("design") or ctx.params.get("name") or "edge-32x32")
    except UserError:
        return []
    holders: list[tuple[str, Any]] = [(unit.name, unit) for unit in chip.units]
    holders += [*chip.memories(), ("dram", chip.dram), ("technology", chip.technology)]
    holders += [(link.name, link) for link in chip.links]
    found: Completed = [(f"{key}=", about.meaning) for key, about in parameters_of(chip).items()]
    for name, holder in dict(holders).items():
        for key, about in parameters_of(holder).items():
            choices = about.choices if not isinstance(getattr(holder, key), tuple) else ()
            found.append((f"{name}.{key}=", about.meaning))
            found += [(f"{name}.{key}={choice}", about.meaning) for choice in choices]
    chosen = _starting(incomplete, found)
    return chosen if "=" in incomplete else [pair for pair in chosen if pair[0].endswith("=")]


def override(text: str) -> tuple[str, str]:
    """Split ``UNIT.PARAMETER=VALUE``."""
    key, sign, value = text.partition("=")
    if not sign or not key or not value:
        raise UserError(
            asked=f"--set {text}",
            found="no KEY=VALUE",
            where="--set",
            next_step="write --set UNIT.PARAMETER=VALUE, such as --set array.rows=16",
        )
    return key, value


def check_schema(name: str) -> str:
    """The name of a published schema, or UserError."""
    if name in SCHEMAS:
        return name
    raise UserError(
        asked=f"the JSON Schema {name!r}",
        found="none of that name",
        where="siliform schema",
        next_step=f"use one of the nearest: {nearest(name, SCHEMAS)}",
    )


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="A built-in name (see `siliform models`), mixer:<method> (see `siliform methods`), "
        "hf:<config.json>, py:<file.py>:<callable>, gemm:M,N,K[,format], or a saved .graph file.",
        autocompletion=complete_model,
    ),
]
DesignName = Annotated[
    str,
    typer.Option(
        "--design",
        help="A design's name (see `siliform designs`) or a TOML file.",
        autocompletion=complete_design,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="UNIT.PARAMETER=VALUE",
        help="Change a parameter of the design, repeatable; `siliform designs NAME` lists them.",
        autocompletion=complete_set,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else there.")]
Seq = Annotated[int | None, typer.Option("--seq", help="Tokens of the sequence (prefill).")]
Batch = Annotated[int, typer.Option("--batch", help="Sequences side by side.")]
Phase = Annotated[
    str,
    typer.Option(
        "--phase",
        help="prefill: the whole input at once; decode: one new token.",
        autocompletion=complete_phase,
    ),
]
Context = Annotated[int | None, typer.Option("--context", help="Tokens already cached (decode).")]
Image = Annotated[int | None, typer.Option("--image", help="Side of a square input image in pixels.")]
TokensMerged = Annotated[
    int | None,
    typer.Option("--tokens-merged", help="Tokens that go in each layer, of a model that merges them."),
]
Bits = Annotated[
    str | None,
    typer.Option(
        "--bits",
        help="Formats of matmul-like nodes: int8, w4a8, mxfp4, fp16, ..., or a policy.toml; 'traced' keeps "
        "the model's own. Default: the design's native formats.",
        autocompletion=complete_bits,
    ),
]
Law = Annotated[
    str,
    typer.Option(
        "--law",
        help="model: realistic; bound: speed of light of the whole graph.",
        autocompletion=complete_law,
    ),
]
Objective = Annotated[
    str,
    typer.Option(
        "--objective",
        help="What the mapper minimises: latency, energy, edp (their product) or traffic (DRAM bytes). "
        "Node by node: the sum of least edp need not be the least edp of the whole.",
        autocompletion=complete_objective,
    ),
]

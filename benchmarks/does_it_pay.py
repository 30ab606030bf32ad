"""Methods with engines of their own against what they replace, on designs with the engine and without.

    python -m benchmarks.does_it_pay [--only SECTION ...] [--json] [--write]

Every line is a network or a mixer on a design: latency, energy and DRAM traffic of the fastest mapping, the
energy of the mapping that needs least, and how much of the cycles is by laws that RTL is measured to keep.
A design and its "-systolic" twin have equal areas. --write puts the tables into
docs/does-it-pay.md, and with all sections also the first one, of verdicts. Figures between the tables are
those of `benchmarks.pay_prose`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

import siliform as sf
from benchmarks.published import marks
from siliform.graph_ir.graph import Graph

PAGE = Path(__file__).resolve().parents[1] / "docs" / "does-it-pay.md"
HEADS = (
    "what runs",
    "bits",
    "design",
    "latency, ms",
    "energy, mJ",
    "least energy, mJ",
    "DRAM, MB",
    "laws that RTL keeps, by cycles",
)
#: Long enough to tell, short enough that full attention still fits.
LENGTHS = (1024, 4096, 16384, 65536)


@dataclass(frozen=True)
class Case:
    """What runs, on what: sizes and changes as the command line takes them; its own formats where no bits."""

    model: str
    design: str
    bits: str | None = None
    sequence: int | None = None
    changes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A case and its costs; `calibrated` has the share of cycles of each unit whose law RTL keeps."""

    model: str
    bits: str
    design: str
    sequence: int | None
    latency_s: float
    energy_j: float
    least_energy_j: float
    dram_bytes: int
    calibrated: Mapping[str, float]

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of `HEADS`."""
        told = ", ".join(f"{unit} {share:.0%}" for unit, share in self.calibrated.items())
        size = "" if self.sequence is None else f" at {self.sequence:,}"
        return (
            f"`{self.model}`{size}",
            self.bits,
            self.design,
            _figure(self.latency_s * 1e3),
            _figure(self.energy_j * 1e3),
            _figure(self.least_energy_j * 1e3),
            _figure(self.dram_bytes / 1e6),
            told or "none",
        )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _pairs(design: str, *models: tuple[str, str | None, int | None]) -> tuple[Case, ...]:
    return tuple(
        Case(model, chip, bits, sequence)
        for model, bits, sequence in models
        for chip in (design, f"{design}-systolic")
    )


def _mixers(design: str, lengths: tuple[int, ...], *names: str) -> tuple[Case, ...]:
    return _pairs(design, *((f"mixer:{name}", None, n) for n in lengths for name in names))


#: By section of the page.
SECTIONS: Mapping[str, tuple[Case, ...]] = MappingProxyType(
    {
        "hash-attention-networks": _pairs(
            "ecoformer-edge",
            *(
                (name, None, None)
                for level in (0, 1)
                for name in (
                    f"pvtv2-b{level}-ecoformer",
                    f"pvtv2-b{level}-full-attention",
                    f"pvt-v2-b{level}",
                )
            ),
        ),
        "hash-attention-lengths": _mixers("ecoformer-edge", LENGTHS, "ecoformer", "softmax"),
        "few-bits": _pairs(
            "binary-edge",
            ("bert-base", "int8", 128),
            *(("bert-base-bit", bits, 128) for bits in ("w1e1a1", "w2e2a2", "w1e1a2", "w2e2a8")),
            ("bert-base-bipft", "w1e1a1", 128),
        ),
        "look-up-layers": (
            *_pairs(
                "lut-edge",
                *(
                    (f"memoryformer-{size}{rest}", None, 2048)
                    for size in ("tiny", "small", "base")
                    for rest in ("", "-baseline")
                ),
            ),
            Case("memoryformer-tiny", "lut-edge", None, 2048, {"scratchpad.bytes": "128 MiB"}),
            Case("memoryformer-tiny", "lut-edge", None, 256),
            Case("memoryformer-tiny-baseline", "lut-edge-systolic", None, 256),
        ),
        "routing": _mixers("routing-edge", LENGTHS[1:], "biformer", "routing", "landmark", "softmax"),
    }
)

#: What is held against what: a label, the method's case, what it replaces, and what its paper says.
VERDICTS: tuple[tuple[str, Case, Case, str], ...] = (
    (
        "EcoFormer in PVTv2-B0, against full attention in all stages",
        Case("pvtv2-b0-ecoformer", "ecoformer-edge"),
        Case("pvtv2-b0-full-attention", "ecoformer-edge-systolic"),
        "73 % of energy saved, counting multiplications and additions",
    ),
    (
        "the same, without the engine",
        Case("pvtv2-b0-ecoformer", "ecoformer-edge-systolic"),
        Case("pvtv2-b0-full-attention", "ecoformer-edge-systolic"),
        "",
    ),
    (
        "EcoFormer in PVTv2-B0, against PVTv2-B0 as published",
        Case("pvtv2-b0-ecoformer", "ecoformer-edge"),
        Case("pvt-v2-b0", "ecoformer-edge-systolic"),
        "",
    ),
    *(
        (
            f"EcoFormer's layer at {tokens:,} tokens, against full attention",
            Case("mixer:ecoformer", "ecoformer-edge", None, tokens),
            Case("mixer:softmax", "ecoformer-edge-systolic", None, tokens),
            "",
        )
        for tokens in (1024, 16384)
    ),
    (
        "BERT-base in 1 bit (BiT), against int8",
        Case("bert-base-bit", "binary-edge", "w1e1a1", 128),
        Case("bert-base", "binary-edge-systolic", "int8", 128),
        "0.4 G of 22.5 G FLOP",
    ),
    (
        "the same, without the engine",
        Case("bert-base-bit", "binary-edge-systolic", "w1e1a1", 128),
        Case("bert-base", "binary-edge-systolic", "int8", 128),
        "",
    ),
    (
        "BERT-base in 1 bit (BiPFT), against int8",
        Case("bert-base-bipft", "binary-edge", "w1e1a1", 128),
        Case("bert-base", "binary-edge-systolic", "int8", 128),
        "56 x fewer operations, 28 x less memory than fp32",
    ),
    (
        "BERT-base in 2 bits, ternary, against int8",
        Case("bert-base-bit", "binary-edge", "w2e2a2", 128),
        Case("bert-base", "binary-edge-systolic", "int8", 128),
        "",
    ),
    (
        "BERT-base in ternary weights and int8, against int8",
        Case("bert-base-bit", "binary-edge", "w2e2a8", 128),
        Case("bert-base", "binary-edge-systolic", "int8", 128),
        "",
    ),
    *(
        (
            f"MemoryFormer-{size}'s block, against a Transformer's",
            Case(f"memoryformer-{size}", "lut-edge", None, 2048),
            Case(f"memoryformer-{size}-baseline", "lut-edge-systolic", None, 2048),
            claim,
        )
        for size, claim in (("tiny", "4.7 G of 10.7 G FLOP"), ("small", "7.4 G of 20.9 G FLOP"))
    ),
    *(
        (
            f"{title} at {tokens:,} tokens, against full attention",
            Case(f"mixer:{name}", "routing-edge", None, tokens),
            Case("mixer:softmax", "routing-edge-systolic", None, tokens),
            "",
        )
        for tokens in (4096, 65536)
        for name, title in (
            ("biformer", "BiFormer"),
            ("routing", "Routing Transformer"),
            ("landmark", "Landmark attention"),
        )
    ),
)


@cache
def graph(model: str, sequence: int | None) -> Graph:
    """The traced graph, kept."""
    return sf.trace(model, seq=sequence)


def costed(case: Case) -> Line:
    """`line` of a case, kept."""
    return _costed(case.model, case.design, case.bits, case.sequence, tuple(case.changes.items()))


@cache
def _costed(
    model: str, design: str, bits: str | None, sequence: int | None, changes: tuple[tuple[str, str], ...]
) -> Line:
    return line(Case(model, design, bits, sequence, dict(changes)))


def line(case: Case) -> Line:
    """Cost a case; what needs least energy is mapped apart."""
    chip = sf.accelerator(case.design, **dict(case.changes))
    traced = graph(case.model, case.sequence)
    fastest = sf.estimate(traced, chip, bits=case.bits)
    least = sf.estimate(traced, chip, bits=case.bits, objective="energy")
    shares: dict[str, float] = {}
    for part in fastest.parts:
        for unit in part.calibration if part.bottleneck == "compute" else ():
            shares[unit] = shares.get(unit, 0.0) + part.cycles / fastest.cycles
    if fastest.energy_j is None or least.energy_j is None:
        raise ValueError(f"{case.design} has no source for energies")
    changed = "".join(f", {key} {value}" for key, value in case.changes.items())
    return Line(
        case.model,
        fastest.bits,
        case.design + changed,
        case.sequence,
        fastest.latency_s,
        fastest.energy_j,
        min(least.energy_j, fastest.energy_j),
        fastest.dram_bytes,
        shares,
    )


def section(name: str, lines: list[Line]) -> str:
    """A section's table between its marks."""
    rows = [f"| {' | '.join(HEADS)} |", f"|---|---|---|{'---:|' * 4}---|"]
    rows += [f"| {' | '.join(found.cells())} |" for found in lines]
    return marks.marked(name, "\n".join(rows) + "\n")


def verdicts() -> str:
    """The first table: how many times as fast, and what is saved."""
    rows = [
        "| what, on the design with the engine | against, on its twin | times as fast | energy saved | "
        "least energy saved | DRAM traffic saved | the paper says |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for label, new, old, claim in VERDICTS:
        ours, theirs = costed(new), costed(old)
        saved = (
            1 - ours.energy_j / theirs.energy_j,
            1 - ours.least_energy_j / theirs.least_energy_j,
            1 - ours.dram_bytes / theirs.dram_bytes,
        )
        told = " | ".join(f"{_figure(100 * share)} %" for share in saved)
        speed = _figure(theirs.latency_s / ours.latency_s)
        place = "" if new.design != old.design else " (on the twin)"
        rows.append(f"| {label}{place} | {theirs.cells()[0]}, {theirs.bits} | {speed} | {told} | {claim} |")
    return marks.marked("verdicts", "\n".join(rows) + "\n")


def _computed(names: list[str]) -> Iterator[tuple[str, list[Line]]]:
    for name in names:
        yield name, [costed(case) for case in SECTIONS[name]]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.does_it_pay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/does-it-pay.md")
    asked = parser.parse_args()
    computed = dict(_computed(asked.only))
    tables = {name: section(name, lines) for name, lines in computed.items()}
    if asked.only == list(SECTIONS):
        tables = {"verdicts": verdicts(), **tables}
    if asked.write:
        marks.replace(PAGE, tables)
    if asked.json:
        print(json.dumps({name: [asdict(found) for found in lines] for name, lines in computed.items()}))
    else:
        print("\n".join(tables.values()))


if __name__ == "__main__":
    main()

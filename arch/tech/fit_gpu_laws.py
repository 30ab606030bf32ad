"""Fit the constants of GPU generations to public tables of measured kernels, and print them.

::

    python -m siliform.arch.tech.fit_gpu_laws [products|attention|trtllm|sglang]

Needs ``pip install 'siliform[yardstick]'``. Fitted to one half of the shapes of two GPUs, by a hash of the
shape: the constants of Hopper to an H100's, those of Ampere to an A100's, those that all share to both at
once. Products (bf16) to the tables of all three frameworks, which all call cuBLAS; attention to those of
vLLM, which calls FlashAttention 3 on Hopper and 2 on Ampere; the kernels of the other two, which are others,
to theirs. The other halves, and other GPUs, are left to judge (``siliform gpu validate``). What is printed is
then written by hand into arch/gpu/generation.py, arch/gpu/libraries.py, arch/designs/nvidia-*.toml and
measured_as.PAGED_SHARE.

The fit is by Levenberg and Marquardt on logarithms, of constants and of predicted over measured time, each
row weighed by ``1 / sqrt(1 + (error / 5 %)**2)``, so that far rows pull no more than near ones. Constants
that end at a bound are marked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from siliform.arch.design import load_design
from siliform.arch.gpu.generation import GENERATIONS, Generation
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.libraries import LIBRARIES
from siliform.arch.tech.measured import Rows, rows_of
from siliform.arch.tech.measured_as import PAGED_SHARE, predicted_seconds

#: Training parts: the design and its generation.
TRAINED = (("nvidia-h100", "hopper"), ("nvidia-a100", "ampere"))
ROWS = 2000  # of each table, drawn once: more of them move no constant by more than 2 %
SOFT = 0.05
ROUNDS = 40
#: Constants and the bounds within which they may lie; those with a dot belong to one generation.
PRODUCTS: Mapping[str, tuple[float, float]] = {
    "fill_cycles": (500, 10_000),
    "dram_percent": (60, 95),
    "norm": (1, 8),
    "l2_bytes_per_cycle": (10, 64),
    "kept_percent": (5, 50),
    "sum_kernel_cycles": (500, 20_000),
    **{
        f"{name}.{constant}": bounds
        for _, name in TRAINED
        for constant, bounds in (
            ("rate_percent", (50, 100)),
            ("step_cycles", (30, 2000)),
            ("epilogue_cycles", (1, 100)),
            ("mac_pj", (0.1, 5)),
        )
    },
}
ATTENTION: Mapping[str, tuple[float, float]] = {
    "replay_seconds": (1e-6, 2e-5),
    "paged_percent": (20, 100),
    "hopper.block_cycles": (100, 20_000),  # Ampere's goes to nothing in the fit, and is 0
    **{
        f"{name}.{constant}": bounds
        for _, name in TRAINED
        for constant, bounds in (
            ("tile_percent", (40, 100)),
            ("softmax_overlap_percent", (5, 99)),
            ("decode_block_cycles", (100, 20_000)),
            ("decode_width_cycles", (20, 5_000)),
            ("decode_wait_cycles", (50, 20_000)),
            ("decode_bytes_per_cycle", (8, 128)),
        )
    },
}
_WHOLE = ("block_cycles", "tile_percent", "softmax_overlap_percent")
_DECODE = ("decode_block_cycles", "decode_width_cycles", "decode_bytes_per_cycle")
_BOUNDS = {name.split(".")[1]: bounds for name, bounds in ATTENTION.items() if name.startswith("hopper.")}
#: What is fitted: constants, and the families and frameworks whose rows they are fitted to.
FITS: Mapping[str, tuple[Mapping[str, tuple[float, float]], tuple[tuple[str, str], ...]]] = {
    "products": (PRODUCTS, tuple(("gemm", framework) for framework in ("vllm", "trtllm", "sglang"))),
    "attention": (ATTENTION, tuple((family, "vllm") for family in ("prefill", "decode", "encoder"))),
    "trtllm": (
        {
            **{f"hopper.{name}": _BOUNDS[name] for name in _WHOLE},
            **{f"ampere.{name}": _BOUNDS[name] for name in ("block_cycles", "tile_percent")},
        },
        (("prefill", "trtllm"), ("encoder", "trtllm")),
    ),
    "sglang": (
        {
            **{f"hopper.{name}": _BOUNDS[name] for name in (*_WHOLE, *_DECODE)},
            "ampere.softmax_overlap_percent": _BOUNDS["softmax_overlap_percent"],
        },
        tuple((family, "sglang") for family in ("prefill", "decode", "encoder")),
    ),
}
Constants = dict[str, float]


def now() -> Constants:
    """All constants as they are, attention's those of the generations."""
    design = load_design("nvidia-h100")
    launch: Any = design.unit("launch")
    made = {
        "fill_cycles": float(launch.fill_cycles),
        "replay_seconds": launch.replay_seconds,
        "dram_percent": float(design.dram.efficiency_percent),
        "paged_percent": PAGED_SHARE * 100,
    }
    for name in (*PRODUCTS, *ATTENTION):
        generation, _, constant = name.rpartition(".")
        if name not in made:
            made[name] = float(getattr(GENERATIONS[generation or "hopper"], constant))
    return made


def own(what: str) -> Constants:
    """Those that a library has of its own; nothing for the fit of something else."""
    library = LIBRARIES.get(what)
    if library is None:
        return {}
    made = {"paged_percent": library.paged_share * 100}
    for generation, constants in library.constants.items():
        made |= {f"{generation}.{name}": value for name, value in constants.items()}
    return made


def gpu_with(design: str, generation: str, constants: Mapping[str, float]) -> Gpu:
    """A GPU under other constants."""
    chip = load_design(
        design,
        {
            "launch.fill_cycles": round(constants["fill_cycles"]),
            "launch.replay_seconds": constants["replay_seconds"],
        },
    )
    known = Gpu.of(chip)
    changed: dict[str, Any] = {}
    for field in fields(Generation):
        name = field.name if field.name in constants else f"{generation}.{field.name}"
        if name in constants:
            changed[field.name] = constants[name]
    made = replace(known.constants, **changed)
    share = constants["dram_percent"] / chip.dram.efficiency_percent
    return replace(
        known,
        constants=made,
        dram_bytes_per_cycle=known.dram_bytes_per_cycle * share,
        full_watts=known.full_watts * made.mac_pj / known.constants.mac_pj,
    )


def at_bound(value: float, bounds: tuple[float, float]) -> bool:
    """Whether a constant is what it is because nothing beyond was allowed."""
    return min(abs(value / bound - 1) for bound in bounds) < 1e-3


def training(kinds: Sequence[tuple[str, str]]) -> list[tuple[str, str, Rows]]:
    """Rows of the training halves by design and generation, of (family, framework) each."""
    made = []
    for design, generation in TRAINED:
        for family, framework in kinds:
            rows = rows_of(design, family, framework)
            if rows is not None:
                train = np.flatnonzero(~rows.held_out)
                drawn = np.random.default_rng(0).permutation(train)[:ROWS]
                made.append((design, generation, rows.some(np.sort(drawn))))
    return made


def fitted(
    start: Constants, bounds: Mapping[str, tuple[float, float]], rows: list[Any], rounds: int = ROUNDS
) -> Constants:
    """Constants within bounds that fit the rows, after so many rounds at most."""

    def errors(constants: Mapping[str, float]) -> Any:
        gpus = {design: gpu_with(design, generation, constants) for design, generation, _ in rows}
        share = constants["paged_percent"] / 100
        parts = [
            np.log(predicted_seconds(gpus[d], some, paged_share=share) / some.seconds) / np.sqrt(len(some))
            for d, _, some in rows
        ]
        return np.concatenate(parts)

    scale = np.concatenate([np.full(len(some), np.sqrt(len(some))) for *_, some in rows])
    return _least_squares(errors, scale, start, bounds, rounds)


def _least_squares(
    errors: Callable[[Mapping[str, float]], Any],
    scale: Any,
    start: Constants,
    bounds: Mapping[str, tuple[float, float]],
    rounds: int,
) -> Constants:
    names, now_at, damping = list(bounds), dict(start), 1e-2
    low, high = (np.log([bounds[name][side] for name in names]) for side in (0, 1))

    def at(x: Any) -> Constants:
        return now_at | dict(zip(names, np.exp(x), strict=True))

    def loss(residual: Any) -> float:
        return float(np.sum((np.sqrt(1 + (residual * scale / SOFT) ** 2) - 1) / scale**2))

    x = np.clip(np.log([start[name] for name in names]), low, high)
    residual = errors(at(x))
    for _ in range(rounds):
        step = 0.02
        towards = np.where(x + step > high, -step, step)
        slopes = [
            (errors(at(x + towards * (np.arange(len(x)) == i))) - residual) / towards[i]
            for i in range(len(x))
        ]
        jacobian = np.stack(slopes, 1)
        weight = 1 / np.sqrt(1 + (residual * scale / SOFT) ** 2)
        normal, right = jacobian.T @ (jacobian * weight[:, None]), jacobian.T @ (residual * weight)
        for _ in range(8):
            move = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), -right)
            tried = np.clip(x + np.clip(move, -0.5, 0.5), low, high)
            found = errors(at(tried))
            if loss(found) < loss(residual):
                break
            damping *= 4
        else:
            break
        gained = 1 - loss(found) / loss(residual)
        x, residual, damping = tried, found, damping / 3
        if gained < 1e-4:
            break
    return at(x)


def main(arguments: Sequence[str]) -> None:
    """Print the constants, old and new, and the training error."""
    found: Constants = {}
    for what, (bounds, kinds) in FITS.items():
        if arguments and what not in arguments:
            continue
        rows, before = training(kinds), now() | found | own(what)
        constants = fitted(before, bounds, rows)
        if what not in LIBRARIES:
            found |= {name: constants[name] for name in bounds}
        print(what)
        for name in bounds:
            ends = " at its bound" if at_bound(constants[name], bounds[name]) else ""
            print(f"  {name:36} {before[name]:12.6g} -> {constants[name]:12.6g}{ends}")
        for design, generation, some in rows:
            predicted = predicted_seconds(
                gpu_with(design, generation, constants), some, paged_share=constants["paged_percent"] / 100
            )
            error = np.mean(np.abs(predicted / some.seconds - 1))
            print(f"  {design} {some.family} {some.framework}: {error:.2%} of {len(some)} training rows")


if __name__ == "__main__":
    main(sys.argv[1:])

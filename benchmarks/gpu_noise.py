"""How exact the public tables of GPU kernels are: ``python -m benchmarks.gpu_noise``.

    python -m benchmarks.gpu_noise [--gpu nvidia-h100 ...] [--json]

Two bounds on what a law of shapes can reach on bf16 products. *Between libraries*: the same product on the
same GPU by two of vLLM, TensorRT-LLM and SGLang, which all call cuBLAS: the mean of how much longer or
shorter the one takes than the other, over all products that both have. *Learnt by heart*: gradient-boosted
trees (scikit-learn) that see one half of the shapes, by the hash that laws are judged with, and predict the
other; they are told extents and what follows from them (operations, bytes, tiles), as logarithms. Neither
goes into any law.

Needs ``pip install 'siliform[yardstick]'`` and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from siliform.arch.design import load_design
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.tech.measured import GPUS, TABLES, Rows, rows_of

TREES = {"max_iter": 600, "learning_rate": 0.08, "max_leaf_nodes": 63, "min_samples_leaf": 10}


@dataclass(frozen=True)
class Noise:
    """One GPU's: shares of the measured time; `between` by pair of libraries, `learnt` by library."""

    design: str
    between: dict[str, float]
    learnt: dict[str, float]


def between(one: Rows, other: Rows) -> float:
    """Mean of how far the one is from the other on the same shapes, as a share of the other's time."""
    times: list[dict[tuple[int, ...], float]] = []
    for rows in (one, other):
        keys = zip(*(rows.shape[axis].tolist() for axis in "mnk"), strict=True)
        times.append(dict(zip(keys, rows.seconds.tolist(), strict=True)))
    apart = [abs(times[0][key] / times[1][key] - 1) for key in times[0].keys() & times[1].keys()]
    return float(np.mean(apart))


def learnt(rows: Rows, multiprocessors: int) -> float:
    """Mean absolute error of trees on the held-out half."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    told, times = _told(rows, multiprocessors), np.log(rows.seconds)
    trees = HistGradientBoostingRegressor(loss="absolute_error", random_state=0, **TREES)
    trees.fit(told[~rows.held_out], times[~rows.held_out])
    found = np.exp(trees.predict(told[rows.held_out]))
    return float(np.mean(np.abs(found / rows.seconds[rows.held_out] - 1)))


def _told(rows: Rows, multiprocessors: int) -> Any:
    m, n, k = (rows.shape[axis].astype(float) for axis in "mnk")
    columns = [m, n, k, m * n, m * k, n * k, m * n * k, m * k + n * k + m * n]
    for side, other in ((64, 64), (128, 128), (128, 256), (256, 128)):
        tiles = np.ceil(m / side) * np.ceil(n / other)
        columns += [tiles, np.ceil(tiles / multiprocessors)]
    return np.log(np.stack(columns, 1))


def noise(design: str) -> Noise:
    """Both bounds of one GPU."""
    known = {framework: rows_of(design, "gemm", framework) for framework in TABLES[design]}
    tables = {framework: rows for framework, rows in known.items() if rows is not None}
    multiprocessors = Gpu.of(load_design(design)).multiprocessors
    return Noise(
        design,
        {f"{a}/{b}": between(tables[a], tables[b]) for a, b in combinations(tables, 2)},
        {framework: learnt(rows, multiprocessors) for framework, rows in tables.items()},
    )


def lines(found: Noise) -> Iterator[str]:
    """What is printed of one GPU."""
    for what, shares in (("between libraries", found.between), ("learnt by heart", found.learnt)):
        told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        yield f"{found.design}  {what}: {told}"


def main() -> None:
    """Print both bounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_noise", description=__doc__)
    parser.add_argument("--gpu", action="append", choices=tuple(GPUS), help="default: all five")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    made = []
    for design in given.gpu or GPUS:
        made.append(noise(design))
        if not given.json:
            print(*lines(made[-1]), sep="\n", flush=True)
    if given.json:
        print(json.dumps([asdict(each) for each in made]))


if __name__ == "__main__":
    main()

"""Lines as the bench itself would write them, one of each of its smallest cases, judged without a crash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import siliform as sf
from siliform.kernels.bench import measurement
from siliform.kernels.bench.case import Case, load
from siliform.kernels.bench.families import FAMILIES
from siliform.kernels.bench.lines import Blank
from siliform.kernels.bench.measurement import Measurement
from siliform.kernels.dtypes import FORMAT_OF
from tests.cpu.kernels.bench_fakes import FakeDevice, context

#: Families of which no op of the catalogue says what a kernel does: they are refused, with that reason.
NO_OP = {"launch", "bit_planes", "block_sparse", "varlen", "packing"}
NO_OP |= {"linear_attention", "gated_linear", "delta_rule", "ssd"}
#: What an H100 of 80 GB on an SXM board says of itself (torch.cuda.get_device_properties).
BOARD = {
    "name": "NVIDIA H100 80GB HBM3",
    "capability": "9.0",
    "multiprocessors": 132,
    "memory_bytes": 84_929_347_584,
    "l2_bytes": 50 * 2**20,
    "driver": None,
}


class MadeUp(FakeDevice):
    """Calls itself an H100, and reports what one does."""

    @property
    def report(self) -> Mapping[str, Any]:
        known = {"name": "NVIDIA H100 80GB HBM3", "multiprocessors": 132, "memory_bytes": 85_017_493_504}
        return {**super().report, **known}


def made_up(case: Case, path: Path) -> Iterator[Measurement]:
    """A line for each implementation, with times that nobody measured."""
    family = FAMILIES[case.family]
    blank = Blank(case, MadeUp(), context(path))
    blank.describe(family, family.operands(case, torch.device("cpu")))
    times = {"median_s": 1e-5, "least_s": 1e-5, "samples": 5, "calls": 1, "timed": "graph", "eager_s": 2e-5}
    for implementation in case.implementations:
        yield blank.made(implementation, "measured", None, **times, sets=1, cache="warm")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in load()["tiny"] if case.family != "network"]


def test_the_smallest_of_every_case_is_predicted_or_refused_by_its_family(
    cases: list[Case], tmp_path: Path
) -> None:
    path = tmp_path / "made.jsonl"
    for case in cases:
        for line in made_up(case, path):
            measurement.append(path, line)
    judged = sf.gpu.validate("none", measurements=path)
    predicted = {table.family for table in judged.tables}
    every = {case.family for case in cases}
    assert every - predicted == NO_OP
    packed = {"binary_matmul", "ternary_matmul"}  # levels of a bit or two, which no unit of a GPU takes
    others = {name for case in cases for name in FAMILIES[case.family].other_functions}
    for refused in judged.refused:
        family = refused.case.partition("/")[0]
        told_apart = any(refused.reason.startswith(name) for name in others)
        assert family in NO_OP | packed or told_apart, refused
    assert all(0 < s < 1e-3 for table in judged.tables for s in table.predicted_s)


def test_the_formats_of_operands_are_those_of_graphs(cases: list[Case]) -> None:
    for case in cases:
        for x in FAMILIES[case.family].operands(case, torch.device("cpu")).values():
            assert x.dtype in FORMAT_OF

"""The declared cases: each has a family, baselines that its family knows, and a kernel or a missing one."""

from __future__ import annotations

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.bench.case import Case, chosen, load
from siliform.kernels.bench.families import FAMILIES
from siliform.kernels.bench.families.base import Missing, kernel_of
from siliform.kernels.gpu.aot import kernel_files

SUITES = load()
FULL = SUITES["full"]
#: Files whose kernels are parts of others that are measured.
PARTS = {"chunks", "split_k"}


def test_names_are_unique_and_full_begins_with_quick():
    names = [case.name for case in FULL]
    assert len(set(names)) == len(names)
    assert FULL[: len(SUITES["quick"])] == SUITES["quick"]


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_is_one_that_its_family_knows(suite: str):
    for case in SUITES[suite]:
        family = FAMILIES[case.family]
        assert set(case.baselines) <= set(family.baselines()), case.name
        assert case.implementations, f"{case.name}: nothing would be run"
        work = family.work(case)
        assert work is None or (work.least_bytes > 0 and work.operations >= 0), case.name


def test_every_family_has_a_tiny_case_for_the_interpreter():
    assert {case.family for case in SUITES["tiny"]} == set(FAMILIES) == {case.family for case in FULL}


def test_every_kernel_file_is_measured():
    """A kernel without a case would never be seen on a GPU."""
    named = {case.kernel.partition(".")[0] for case in FULL if case.kernel}
    assert set(kernel_files()) - named - PARTS == set()


def test_a_kernel_is_there_or_told_missing():
    for kernel in {case.kernel: case for case in FULL if case.kernel}.values():
        try:
            found = kernel_of(kernel)
        except Missing as error:
            found, told = None, str(error)
        assert callable(found) if found else "kernels/gpu/" in told


def test_the_shapes_that_matter_are_there():
    """Cubes, LeanAttention's range, lengths up to a million tokens."""
    cubes = {c.sizes["m"] for c in FULL if c.family == "matmul" and len(set(c.sizes.values())) == 1}
    assert {512, 1024, 2048, 4096, 8192} <= cubes
    decode = [c.sizes for c in FULL if c.family == "decode"]
    assert {s["keys"] for s in decode} >= {8192, 524288}
    assert {s["batch"] for s in decode} >= {1, 8}
    assert {s["heads"] for s in decode} >= {32, 48, 56}
    assert {s["queries"] for s in decode} == {1}
    for family in ("hash_attention", "linear_attention"):
        lengths = {c.sizes["tokens"] for c in FULL if c.family == family}
        assert {1024, 1048576} <= lengths
    softmax, sigmoid = (
        [tuple(c.sizes.values()) for c in FULL if c.options.get("weights") == weights]
        for weights in ("softmax", "sigmoid")
    )
    assert set(softmax) & set(sigmoid)


@pytest.mark.parametrize("case", SUITES["tiny"], ids=lambda case: case.name)
def test_operands_are_the_same_for_the_same_seed_and_fit_the_op(case: Case):
    family, cpu = FAMILIES[case.family], torch.device("cpu")
    operands, again = family.operands(case, cpu), family.operands(case, cpu)
    for name, x in operands.items():
        assert torch.equal(x.reshape(-1).view(torch.uint8), again[name].reshape(-1).view(torch.uint8))
    form = family.op_form(case, operands)
    if form is not None:
        assert case.op in OPS
        assert all("[" in text for text in form.operands)


@pytest.mark.parametrize(
    ("suite", "only", "found", "where", "next_step"),
    [
        ("fast", (), "no suite of that name", "--suite", "use one of quick, full"),
        ("quick", ("matmull",), "no family of that name", "--only", "use matmul; there are copy, "),
        ("quick", ("packing",), "none: they stand in the suite full", "--only", "add --suite full"),
    ],
)
def test_unknown_names_are_told(suite, only, found, where, next_step):
    with pytest.raises(UserError) as caught:
        chosen(suite, only)
    assert (caught.value.found, caught.value.where) == (found, where)
    assert caught.value.next_step.startswith(next_step)


def test_cutting_k_is_measured_beside_not_cutting_it():
    """Of every size both, so that their quotient is told."""
    sizes = {
        variant: {tuple(c.sizes.values()) for c in FULL if c.options.get("variant") == variant}
        for variant in ("split", "tiled")
    }
    assert sizes["split"] == sizes["tiled"]
    assert max(k / max(m, n) for m, n, k in sizes["split"]) > 100


def test_only_keeps_the_families_named():
    assert {case.family for case in chosen("full", ("rows", "decode"))} == {"rows", "decode"}

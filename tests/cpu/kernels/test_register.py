"""The table of ops with a GPU kernel, and what is asked of operands before one runs."""

from __future__ import annotations

import inspect

import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops import OPS
from siliform.kernels.bridge import torch_op
from siliform.kernels.gpu import checks
from siliform.kernels.gpu.device import kernel_device
from siliform.kernels.gpu.register import GPU_KERNELS, gpu_kernel, kernel_function


@pytest.mark.parametrize("op", GPU_KERNELS)
def test_a_kernel_takes_what_the_reference_takes(op):
    """Operands and attributes have the reference's names, order and defaults; more keywords have defaults."""
    wanted = inspect.signature(OPS[op].reference).parameters
    given = inspect.signature(kernel_function(op)).parameters
    shared = [(p.name, p.kind, p.default) for p in given.values() if p.name in wanted]
    assert shared == [(p.name, p.kind, p.default) for p in wanted.values()]
    extra = [p for p in given.values() if p.name not in wanted]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in extra)


@pytest.mark.parametrize("op", GPU_KERNELS)
def test_the_torch_operator_has_it_on_cuda(op):
    operator = torch_op(OPS[op])
    assert torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CUDA")


def test_an_op_without_a_kernel_has_none():
    assert gpu_kernel("erf") is None
    assert not torch._C._dispatch_has_kernel_for_dispatch_key(torch_op(OPS["erf"]).name(), "CUDA")


def test_a_registered_kernel_computes():
    a, b = torch.ones(3, 16), torch.ones(16, 5)
    kernel = gpu_kernel("matmul")
    assert kernel is not None
    assert torch.equal(kernel(a, b), torch.full((3, 5), 16.0))


def test_a_numeric_form_is_refused_on_a_gpu():
    kernel = gpu_kernel("matmul")
    assert kernel is not None
    with pytest.raises(UserError) as told:
        kernel(torch.ones(1, 1), torch.ones(1, 1), numerics="mxfp4")
    assert str(told.value) == (
        "asked: matmul with numerics='mxfp4' on a GPU\n"
        "found: no GPU kernel of that form; there is one of the op itself\n"
        "where: torch.ops.siliform.matmul\n"
        "next:  move the operands to the CPU, where the reference of every form runs, or leave out numerics"
    )


def test_kernels_are_interpreted_here():
    assert kernel_device() == "cpu"


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (
            lambda x: checks.one_device("k", x=x, y=x.to("meta")),
            "asked: the kernel k on x on cpu, y on meta\n"
            "found: triton interprets kernels here, on the CPU\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  move all operands to one device of type cpu",
        ),
        (
            lambda x: checks.dtypes("k", (torch.int8, torch.bool), x=x),
            "asked: the kernel k with x of torch.float32\n"
            "found: it takes x in int8, bool\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  convert it with Tensor.to, or run the op's reference on the CPU",
        ),
        (
            lambda x: checks.same_dtype("k", x=x, y=x.half(), z=None),
            "asked: the kernel k with x of torch.float32, y of torch.float16\n"
            "found: they differ, and it takes them in one dtype\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  convert one of them with Tensor.to",
        ),
        (
            lambda x: checks.shaped("k", x=(x, (2, 4))),
            "asked: the kernel k with x of shape [2, 3]\n"
            "found: beside the other operands it has the shape [2, 4]\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  give operands whose shapes agree; the function's docstring says how",
        ),
        (
            lambda x: checks.choice("k", "variant", "fast", (None, "tiled")),
            "asked: the kernel k with variant='fast'\n"
            "found: variant is one of None, 'tiled'\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  choose one of those, or leave variant out",
        ),
        (
            lambda x: checks.op_types("k", "matmul", x, x),
            "asked: matmul(fp32[2,3], fp32[2,3]) with {}\n"
            "found: a has 3 columns, b has 2 rows\n"
            "where: siliform.kernels.gpu.k\n"
            "next:  give operands whose shapes agree with the op's shape rule",
        ),
    ],
)
def test_what_does_not_fit_is_told_in_four_parts(check, text):
    with pytest.raises(UserError) as told:
        check(torch.zeros(2, 3))
    assert str(told.value) == text

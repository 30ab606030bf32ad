"""gemm:M,N,K[,format]: one product, without torch."""

import subprocess
import sys

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import Request, build_graph


def test_the_sizes_are_those_of_the_name():
    graph = build_graph("gemm:128,3072,768,int8")
    assert [node.op.name for node in graph.nodes] == ["linear", "cast"]
    assert [str(v.type) for v in graph.inputs] == ["int8[128,768]"]
    assert [str(v.type) for v in graph.parameters] == ["int8[3072,768]"]
    assert [str(v.type) for v in graph.outputs] == ["int8[128,3072]"]
    assert graph.macs == graph.macs_dense == 128 * 3072 * 768


def test_the_format_is_fp32_if_left_out():
    graph = build_graph("gemm:3, 5, 7")
    assert [str(v.type) for v in graph.outputs] == ["fp32[3,5]"]


@pytest.mark.parametrize("name", ["gemm:", "gemm:1,2", "gemm:1,2,x", "gemm:1,2,3,int8,4", "gemm:1,-2,3"])
def test_a_malformed_name_is_told_with_an_example(name):
    with pytest.raises(UserError) as refused:
        build_graph(name)
    assert refused.value.asked == f"the product {name!r}"
    assert refused.value.next_step == "write gemm:M,N,K[,format], such as gemm:128,768,768,int8"


def test_a_size_of_zero_is_told():
    with pytest.raises(UserError, match="the size 0, which is less than 1"):
        build_graph("gemm:128,0,64")


def test_an_unknown_format_is_told():
    with pytest.raises(UserError) as refused:
        build_graph("gemm:1,2,3,int9")
    assert refused.value.asked == "the number format 'int9'"


def test_other_sizes_are_refused():
    with pytest.raises(UserError) as refused:
        build_graph("gemm:1,2,3", Request(phase="decode", context=5))
    assert refused.value.asked == "gemm:1,2,3 with --phase decode"
    assert refused.value.found == "its sizes are in its name"


def test_a_product_and_a_saved_graph_need_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from siliform.graph_ir.weights import save_graph\n"
        "from siliform.models import build_graph\n"
        f"save_graph(build_graph('gemm:4,5,6'), {str(tmp_path / 'product.graph')!r})\n"
        f"graph = build_graph({str(tmp_path / 'product.graph')!r})\n"
        "print(graph.macs, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "120 False\n"


def test_a_saved_graph_keeps_its_sizes(tmp_path):
    with pytest.raises(UserError) as refused:
        build_graph(str(tmp_path / "x.graph"), Request(batch=2))
    assert refused.value.found == "a saved graph has the sizes that it was traced with"

"""A model by name as a network that a search varies: what it keeps, and what it refuses."""

from __future__ import annotations

import pytest

from siliform.graph_ir.errors import UserError
from siliform.models import searched
from siliform.models.searched import CatalogueNetwork


def test_only_the_last_few_traces_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "_GRAPHS", 2)
    network = CatalogueNetwork("bert-tiny", {"sequence": 8})
    macs = []
    for layers in (1, 2, 3, 1):
        graph = network.graph({"num_hidden_layers": layers})
        macs.append(sum(node.macs for node in graph.nodes))
        assert len(network._graphs) <= 2
    assert macs[0] == macs[3] < macs[1] < macs[2]


def test_a_product_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="write gemm:M,N,K"):
        CatalogueNetwork("gemm:128x128")
    assert CatalogueNetwork("gemm:8,8,8").graph({}).nodes

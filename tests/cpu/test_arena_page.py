"""docs/arena.md and its table are what is computed now: a sample of runs exactly, and every run is there."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.arch.design import design_names
from siliform.arena import FULL, LENGTHS, read_csv
from siliform.arenapage import PAGE, PICTURE, TABLE, page
from siliform.arenaruns import estimated
from siliform.models import Request, build_graph
from siliform.models.methods import METHODS

REFRESH = "bring it up to date: python -m siliform.arenapage --run --jobs 2"
#: Mixers of several kinds, designs of several kinds, lengths that take a moment.
SAMPLE = [
    (FULL, ("edge-32x32", "nvidia-h100", "tile-16x16"), 1024),
    (FULL, ("server-128x128", "acceltran-edge"), 2**20),
    ("ecoformer", ("ecoformer-edge", "ecoformer-edge-systolic"), 4096),
    ("linear-transformer", ("edge-32x32", "nvidia-a100"), 2**20),
    ("mamba2", ("edge-32x32", "server-128x128"), 1024),
    ("biformer", ("routing-edge",), 4096),
    ("longformer", ("w4a4-edge",), 65536),
]


@pytest.mark.parametrize(("mixer", "designs", "tokens"), SAMPLE, ids=[f"{m}-{n}" for m, _, n in SAMPLE])
def test_runs_are_what_is_computed_now(mixer: str, designs: tuple[str, ...], tokens: int) -> None:
    known = read_csv(TABLE.read_text(encoding="utf-8")).by_place
    graph = build_graph(f"mixer:{mixer}", Request(sequence=tokens))
    for design in designs:
        found = estimated(mixer, tokens, graph, sf.accelerator(design))
        assert known[mixer, design, tokens] == found, REFRESH


def test_every_mixer_has_a_row_at_every_length_on_every_design() -> None:
    apart = [m for m in METHODS.values() if m.same_graph_as is None]
    mixers = [m.name for m in apart if m.mixer is not None and m.mixer.arena]
    assert "longformer" in mixers
    assert "budgetlongformer" not in mixers
    wanted = {(m, d, n) for m in mixers for d in design_names() for n in LENGTHS}
    table = read_csv(TABLE.read_text(encoding="utf-8"))
    assert set(table.by_place) == wanted, REFRESH
    assert len(table.runs) == len(wanted)
    assert all(run.reason for run in table.runs if run.state == "refused")


def test_the_page_is_made_of_the_table() -> None:
    table = read_csv(TABLE.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(table), REFRESH
    svg = PICTURE.read_text(encoding="utf-8")
    assert [name for name in (*table.mixers, *table.designs) if f">{name}<" not in svg and name != FULL] == []

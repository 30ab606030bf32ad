"""docs/arena.md and its table are what is computed now: a sample of runs exactly, and every run is there."""

from __future__ import annotations

import pytest

import siliform as sf
from siliform.arch.design import design_names
from siliform.arena import FULL, LENGTHS, Arena, Run, read_csv
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
    assert [name for name in (*table.mixers, *table.running) if f">{name}<" not in svg and name != FULL] == []


def test_a_design_on_which_nothing_runs_has_no_column_and_a_reason() -> None:
    """Also in the README, which says on how many designs mixers run."""
    table = read_csv(TABLE.read_text(encoding="utf-8"))
    shown, without = page(table), set(table.designs) - set(table.running)
    heads = next(line for line in shown.splitlines() if line.startswith("| mixer | "))
    assert [design for design in table.designs if f" {design} |" in heads] == list(table.running)
    for design in without:
        assert f"Nothing runs on `{design}`, which has no column: " in shown
        assert f">{design}<" not in PICTURE.read_text(encoding="utf-8")
    readme = " ".join((PAGE.parents[1] / "README.md").read_text(encoding="utf-8").split())
    assert f"1K to 1M tokens on {len(table.running)} of {len(table.designs)} designs" in readme


def test_the_commonest_reason_is_told() -> None:
    def run(design: str, tokens: int, reason: str = "") -> Run:
        state = "refused" if reason else "runs"
        return Run(FULL, design, tokens, "int8", state, None if reason else 1.0, reason=reason)

    why = "mul(fp32[3]) on b: mul is no product"
    tried = [
        run("a", 8),
        run("a", 16),
        run("b", 8, why),
        run("b", 16, why),
        run("b", 32, "too long"),
        run("a", 32),
    ]
    shown = page(Arena(tuple(tried)))
    assert "1 mixers at 3 lengths run on 1 of 2 designs: 3 runs.\n" in shown
    assert "Nothing runs on `b`, which has no column: mul is no product (2 of 3 tries).\n" in shown

"""The pages keep pace with the tree: every file that they point at is there, every table true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from siliform.listing import list_designs
from siliform.rtl.catalogue import UNITS, unit_named

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
ROOMS = "arch|dse|graph_ir|kernels|models|rtl|simulator|siliform|tests|examples|benchmarks|docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    """Relative links, and paths in backquotes unless they hold a blank to fill in, like <op>."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    paths = re.findall(rf"`((?:{ROOMS})/[\w./-]*)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing, f"{page.relative_to(ROOT)} points at {missing}"


def test_readme_lists_the_designs(capsys: pytest.CaptureFixture[str]) -> None:
    """The README's table is what `siliform designs` knows."""
    list_designs(as_json=True)
    rows = ["| design | what it is | peak MAC/s | on chip | DRAM |", "|---|---|---|---|---|"]
    for d in json.loads(capsys.readouterr().out)["designs"]:
        peak = f"{d['peak_macs_per_second'] / 1e12:.3g} T ({d['native_bits']})"
        memories = f"{d['scratchpad_bytes'] / 2**20:g} MiB | {d['dram_bytes_per_second'] / 1e9:g} GB/s"
        rows.append(f"| `{d['name']}` | {d['description']} | {peak} | {memories} |")
    assert "\n".join(rows) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_counts_the_units_in_silicon() -> None:
    sets = sum(len(unit_named(kind).elaborations()) for kind in UNITS)
    assert f"| {len(UNITS)} units, {sets} sets of parameters " in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )

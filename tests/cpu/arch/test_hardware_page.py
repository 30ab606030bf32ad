"""The page on hardware says what the declarations say, and its example loads."""

from __future__ import annotations

import re

from siliform.arch import area_page
from siliform.arch.design import parse_design
from siliform.arch.document import BEGIN, END, PAGE, parameter_tables


def test_the_tables_are_generated() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == parameter_tables().strip(), "regenerate with python -m siliform.arch.document --write"


def test_the_example_is_a_design() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    design = parse_design(blocks[0])
    assert design.name == "my-chip"
    stated = parse_design(f"{blocks[0]}\n{blocks[1]}")
    assert stated.area_mm2.value == 826.0
    assert stated.dram_energy_pj_per_byte.value is None


def test_the_tables_of_areas_are_generated() -> None:
    _, _, rest = area_page.PAGE.read_text(encoding="utf-8").partition(area_page.BEGIN)
    told = rest.partition(area_page.END)[0].strip()
    assert told == area_page.area_tables().strip(), "python -m siliform.arch.area_page --write"

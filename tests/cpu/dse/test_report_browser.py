"""The report's page in headless Chromium, by real pointer and key events; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siliform.dse.report import write_report
from tests.cpu.dse.report_case import HOSTILE, done, infeasible
from tests.cpu.dse.webdriver import Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def written(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), done(), pictures=False)


@pytest.fixture
def page(browser: Browser, written: Path) -> Iterator[Browser]:
    """The page as it opens; whatever a test does, nothing may be complained of or fetched."""
    browser.media()
    browser.open(written)
    yield browser
    assert browser.console() == []
    assert browser.run("return performance.getEntriesByType('resource').map(e => e.name)") == []


def place(page: Browser, point: int) -> tuple[float, float]:
    """Where a point is drawn, with the plot in view."""
    page.middle("#chart")
    x, y = page.run("return siliform.place(arguments[0])", point)
    return x, y


def alone(page: Browser, front: bool) -> int:
    """A point of the front, or a beaten one, with no other near it."""
    found = page.run(
        "const places = siliform.study.points.design.map((d, i) => siliform.place(i));"
        "const front = new Set(siliform.study.front), ok = siliform.study.points.feasible;"
        "const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);"
        "return places.findIndex((a, i) => front.has(i) === arguments[0] && ok[i] &&"
        " places.every((b, j) => i === j || apart(a, b) > (front.has(j) ? 7 : 3)))",
        front,
    )
    assert found >= 0
    return int(found)


def row_of(page: Browser, point: int) -> Any:
    """The frame's row of a point."""
    return done().frame.iloc[page.run("return siliform.study.points.design[arguments[0]]", point) - 1]


@pytest.mark.parametrize("front", [True, False])
def test_hovering_shows_the_design(page: Browser, front: bool) -> None:
    point = alone(page, front)
    page.pointer(place(page, point))
    told, row = page.text(".tip"), row_of(page, point)
    assert told.splitlines()[0] == f"design {row.name + 1}{', on the front' if front else ''}"
    assert f"{1e6 * row.latency_s:.4g} µs" in told
    assert f"array.rows\n{row['array.rows']}" in told
    assert page.run("return document.querySelectorAll('.hover').length") == 1
    page.pointer((5, 5))
    assert page.run("return document.querySelector('.tip').hidden") is True


def test_clicking_shows_knobs_quantities_breakdown_and_timeline(page: Browser) -> None:
    assert page.text("#panel h2") == "No design selected"
    confirmed = page.run("return Object.entries(siliform.study.confirmed)")
    point, told = next((int(p), told) for p, told in confirmed if told["state"] == "simulated")
    page.run("document.getElementById('zoom').click()")
    page.settle()
    page.click(place(page, point))
    row, panel = row_of(page, point), page.text("#panel")
    assert page.text("#panel h2") == f"Design {row.name + 1}"
    assert "simulated by events" in panel
    assert f"array.columns\n{row['array.columns']}" in panel
    cells = page.text("#quantities tbody tr").split("\t")
    change = 100 * (told["events"]["latency_s"] / told["closed"]["latency_s"] - 1)
    assert cells[0] == "latency_s"
    assert cells[3] == f"{change:+.1f} %"
    command = f"siliform simulate --model designs/network-1.graph --design designs/design-{row.name + 1}.toml"
    assert command.split("/network")[0] in panel
    below = page.text("#breakdown")
    for heading in ("Time by module", "Energy by cause", "Area by part", "Work and stalls", "What ran when"):
        assert heading in below
    assert page.run("return document.querySelectorAll('#timeline svg.gantt rect').length") > 4
    page.click(place(page, point))
    assert page.run("return document.getElementById('breakdown').hidden") is True


def test_a_failed_confirmation_and_hostile_text_are_told_as_text(page: Browser) -> None:
    failed = page.run(
        "return +Object.entries(siliform.study.confirmed).find(([p, told]) => told.state === 'failed')[0]"
    )
    page.click(page.middle(f"#front tr[data-point='{failed}']"))
    assert f"Not confirmed by events: no room for {HOSTILE}" in page.text("#panel")
    assert "simulation failed" in page.text("#panel")
    assert HOSTILE in page.text("main")
    assert page.text("h1") == "layers <i>and</i> arrays"
    assert page.run("return document.querySelectorAll('#evil, h1 i').length") == 0


def test_axes_colour_and_scale_can_be_chosen_and_the_address_keeps_them(page: Browser, written: Path) -> None:
    point = alone(page, True)
    before = place(page, point)
    choose(page, "x", "array.rows")
    assert page.run("return document.querySelector('#chart .axis-name').textContent") == "array.rows"
    assert place(page, point) != before
    linear = page.run("return siliform.place(arguments[0])[0]", point)
    page.run("document.getElementById('logx').click()")
    page.settle()
    assert page.run("return siliform.place(arguments[0])[0]", point) != linear
    choose(page, "x", "model.flavour")
    assert page.run("return document.getElementById('logx').disabled") is True
    choose(page, "colour", "model.flavour")
    assert HOSTILE in page.text("#legend")
    page.run("document.getElementById('zoom').click()")
    page.settle()
    address = page.run("return location.hash")
    assert "x=model.flavour" in address
    assert "zoom=1" in address
    page.open(written, f"{address}&design=17")
    assert page.run("return [siliform.chosen.x, siliform.chosen.zoom]") == ["model.flavour", True]
    assert page.text("#panel h2") == "Design 17"


def choose(page: Browser, control: str, value: str) -> None:
    page.run(
        "const c = document.getElementById(arguments[0]); c.value = arguments[1];"
        "c.dispatchEvent(new Event('change'))",
        control,
        value,
    )
    page.settle()


def test_keys_go_along_the_front_and_select(page: Browser) -> None:
    page.run("document.getElementById('chart').focus()")
    page.keys("Right", "Right")
    by_latency = np.argsort([done().of("latency_s")[p] for p in done().front_positions], kind="stable")
    second = done().front_positions[by_latency[1]]
    assert page.text("#speech").startswith(f"design {second + 1}, on the front: latency_s ")
    page.keys("Enter")
    assert page.text("#panel h2") == f"Design {second + 1}"
    page.keys("Escape")
    assert page.text("#panel h2") == "No design selected"


def brushed(page: Browser) -> tuple[str, int]:
    """What the page says of the ranges, and how many rows of the front are not faded."""
    rows = page.run("return document.querySelectorAll('#front tbody tr:not(.out)').length")
    return page.text("#kept"), rows


def test_dragging_along_an_axis_keeps_a_range(page: Browser) -> None:
    page.middle("#parallel")
    box = page.run(
        "const b = document.querySelector('[data-dimension=\"array.rows\"] > path').getBoundingClientRect();"
        "return [b.x, b.y, b.height]"
    )
    x, top, height = box
    page.pointer((x + 4, top - 4), "down", (x + 4, top + height / 4), (x + 4, top + height / 2), "up")
    drawn = done().frame[done().known]
    kept = int((drawn["array.rows"] >= 32).sum())
    front = done().frame.iloc[done().front_positions]
    assert brushed(page) == (
        f"{kept} of {len(drawn)} designs lie in the ranges",
        int((front["array.rows"] >= 32).sum()),
    )
    page.click(page.middle("#clear"))
    assert brushed(page) == ("", len(front))


def test_keys_keep_a_range_too(page: Browser) -> None:
    page.middle("#parallel")
    page.run("document.querySelector('[data-dimension=\"array.rows\"]').focus()")
    page.keys("Up", "Down")
    drawn = done().frame[done().known]
    kept = int(drawn["array.rows"].isin([16, 32]).sum())
    assert brushed(page)[0] == f"{kept} of {len(drawn)} designs lie in the ranges"
    label = page.run("return document.activeElement.getAttribute('aria-label')")
    assert label == "array.rows: kept from 16 to 32"
    page.keys("Shift+Up", "Shift+Down")
    assert brushed(page)[0] == ""


def test_a_range_over_inactive_knobs_leaves_their_designs_out(page: Browser) -> None:
    page.middle("#parallel")
    page.run("document.querySelector('[data-dimension=\"model.width[2]\"]').focus()")
    page.keys("Up")
    kept = int((done().frame["model.width[2]"][done().known] == 128).sum())
    assert brushed(page)[0].startswith(f"{kept} of ")


@pytest.mark.parametrize("name", ["accuracy", "array.rows"])
def test_the_front_sorts(page: Browser, name: str) -> None:
    front = done().frame.iloc[done().front_positions]
    designs = "return [...document.querySelectorAll('#front tbody tr')].map(r => +r.cells[0].textContent)"
    assert page.run(designs) == [place + 1 for place in done().front_positions]
    for ascending in (True, False):
        page.click(page.middle(f"#front th[data-column='{name}'] button"))
        shown = done().frame[name].to_numpy()[[d - 1 for d in page.run(designs)]]
        assert list(shown) == sorted(front[name], reverse=not ascending)
        state = page.run("return document.querySelector('#front [aria-sort]').getAttribute('aria-sort')")
        assert state == ("ascending" if ascending else "descending")


def test_designs_that_break_a_limit_can_be_hidden(page: Browser) -> None:
    choose(page, "x", "area_mm2")
    assert page.run("return document.querySelector('.limit-name').textContent") == "area_mm2 <= 8.0"
    broken = page.run("return siliform.study.points.feasible.indexOf(0)")
    page.pointer(place(page, broken))
    assert "area_mm2 <= 8" in page.text(".tip")
    line = "const n = document.querySelector('.limit-name'); return n && n.getBoundingClientRect().x"
    before = page.run(line)
    page.run("document.getElementById('limits').click()")
    page.settle()
    assert page.run("return siliform.chosen.hover") == -1
    after = page.run(line)
    assert after is None or after > before  # the axis ends before the limit, or soon behind it


def test_dark_light_and_print(page: Browser) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(background)
    page.media(scheme="dark")
    assert page.run(background) != light
    page.media(scheme="dark", kind="print")
    assert page.run(background) == "rgb(255, 255, 255)"
    assert page.run("return getComputedStyle(document.querySelector('.controls')).display") == "none"
    page.media()


def test_a_study_without_a_design_has_a_page_too(page: Browser, tmp_path: Path) -> None:
    page.open(write_report(tmp_path, infeasible(), pictures=False))
    assert HOSTILE in page.text("main")
    page.run("document.getElementById('chart').focus()")
    page.keys("Right", "Enter", "Escape")
    page.pointer(page.middle("#chart"))
    assert page.text("#panel h2") == "No design selected"


def test_a_narrow_window_needs_no_sideways_scrolling(page: Browser, written: Path) -> None:
    page.resize(520, 900)
    page.open(written, "#design=17")
    try:
        assert page.run("return document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        page.resize(1400, 1000)

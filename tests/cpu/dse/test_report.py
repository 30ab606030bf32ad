"""The report of a study: what the page holds, tables, pictures, and designs that can be simulated."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siliform.arch.design import load_design
from siliform.dse.codesign import CoDesign
from siliform.dse.report import ReportData, write_report
from siliform.dse.report.data import rows_of_frame
from siliform.dse.report.page import html_page
from siliform.dse.report.payload import as_script, numbers, payload, shown, unit_of
from siliform.dse.report.tables import history_frame
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.weights import load_graph
from siliform.simulator.estimate import estimate
from siliform.simulator.report import Report
from tests.cpu.dse.report_case import HOSTILE, done, infeasible

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """A page's elements, its visible text, and its study; elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.study = "", ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if dict(self.seen[-1][1]).get("id") == "study":
                self.study += data
        elif "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report") / "of" / "it", done()).parent


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


# -- the page ----------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(page: Page, written: Path) -> None:
    for tag, attributes in page.seen:
        assert tag not in ("link", "img", "iframe", "object")
        assert "src" not in attributes
        assert (attributes.get("href") or "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    policies = [a["content"] for _, a in page.seen if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0].startswith("default-src 'none'; ")
    assert (written / "report.html").stat().st_size < 400_000


def test_the_page_says_what_was_searched_and_found(page: Page) -> None:
    data = done()
    for told in (
        "layers <i>and</i> arrays",
        "layers on edge-32x32; engine random, seed 3, budget 200 evaluations",
        "least latency_s, ideal ",
        "most accuracy, ideal ",
        "Limits: area_mm2 <= 8",
        f"{data.hypervolume:.4f}",
        f"{data.space.size:,}",
        f"beware of {HOSTILE}",
        f"R² {data.importances[0].r2:.2f} on designs not seen, of 192",
        "by running the network of each design",
        f"2{HOSTILE}",  # two designs that cannot be, and why
        f"failedno room for {HOSTILE}",
    ):
        assert told in page.text, told


def test_what_users_wrote_stays_text(page: Page) -> None:
    assert not [a for _, a in page.seen if a.get("id") == "evil"]
    assert not [t for t, _ in page.seen if t == "i"]
    assert json.loads(page.study)["knobs"][-1]["values"][1] == HOSTILE


def test_a_script_cannot_be_ended_from_within() -> None:
    given = ["</script>", "<!--", "a & b", "\u2028"]
    text = as_script(given)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == given
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_script([float("nan")])


def test_the_same_study_gives_the_same_page(page: Page, written: Path) -> None:
    again = replace(done())  # nothing kept from the first time
    assert html_page(again) == (written / "report.html").read_text(encoding="utf-8")


def test_points_are_those_of_the_frame(page: Page) -> None:
    study, data = json.loads(page.study), done()
    places = np.array(study["points"]["design"]) - 1
    assert list(places) == list(np.flatnonzero(data.known))
    for quantity in study["quantities"]:
        expected = data.frame[quantity["name"]].to_numpy(float)[places]
        np.testing.assert_allclose(quantity["values"], expected, rtol=1e-5)
    for knob in study["knobs"]:
        chosen = [None if at < 0 else knob["values"][at] for at in knob["chosen"]]
        column = data.frame[knob["name"]].iloc[places]
        assert [None if pd.isna(v) else v for v in column] == chosen
    assert sorted(places[study["front"]]) == sorted(data.front_positions)
    simulated = [told["state"] for told in study["confirmed"].values()]
    assert sorted(simulated) == ["failed", *["simulated"] * 4]
    charts = [a["id"] for t, a in page.seen if t == "template"]
    expected = {f"timeline-{p}" for p, told in study["confirmed"].items() if told["state"] == "simulated"}
    assert set(charts) == expected


def test_breakdowns_sum_to_the_design(page: Page) -> None:
    study = json.loads(page.study)
    values = {q["name"]: q["values"] for q in study["quantities"]}
    assert len(study["breakdowns"]) == len(study["front"])
    for point, told in study["breakdowns"].items():
        assert told["cycles"] == sum(m["cycles"] for m in told["modules"])
        assert told["cycles"] == pytest.approx(values["cycles"][int(point)], rel=1e-5)
        for parts in ([m["energy_j"] for m in told["modules"]], told["energy_by_cause_j"].values()):
            assert sum(parts) == pytest.approx(values["energy_j"][int(point)], rel=1e-5)
        assert sum(told["area_parts_mm2"].values()) == pytest.approx(values["area_mm2"][int(point)], rel=1e-5)


def test_many_points_are_thinned_and_the_page_says_so() -> None:
    data = done(200, copies=60)
    assert len(data.frame) > 10_000
    text = html_page(data)
    page = Page(text)
    study = json.loads(page.study)
    assert len(text) < 1_500_000
    assert 4900 <= len(study["points"]["design"]) <= 5010
    assert len(study["front"]) == len(data.front_positions)
    assert "designs are shown: those beaten by others are thinned out evenly" in page.text
    assert len(study["confirmed"]) == 5
    gaps = np.diff(study["points"]["design"])
    assert gaps.max() <= 5
    assert len(shown(data, 300)) <= 310


def test_a_large_front_is_thinned_too() -> None:
    data = replace(done(), confirmations={})
    study = payload(data, (), 30)
    assert len(study["front"]) <= 22
    assert "and so is the front" in Page(html_page(data, points=30)).text


def test_a_study_of_one_objective_and_of_none_feasible() -> None:
    data = done()
    one = replace(data, objectives=data.objectives[:1], front=data.front[:1], confirmations={})
    assert "on the front" in Page(html_page(one)).text
    assert json.loads(Page(html_page(infeasible())).study)["front"] == []


def test_nothing_feasible_is_drawn_as_nothing(tmp_path: Path) -> None:
    assert (write_report(tmp_path, infeasible()).parent / "pareto.svg").stat().st_size > 1000


def test_a_problem_without_hardware_has_a_page(tmp_path: Path) -> None:
    """The report asks no more of a problem than the protocol, and leaves out what only designs have."""

    class Plain:
        def __init__(self, problem: CoDesign) -> None:
            self.space, self.quantities, self.measured = problem.space, problem.quantities, problem.measured

    data = replace(done(), problem=Plain(done().problem), confirmations={})
    folder = write_report(tmp_path, data, pictures=False).parent
    assert sorted(f.name for f in folder.iterdir()) == [
        "confirmed.csv",
        "evaluations.csv",
        "front.csv",
        "history.csv",
        "importance.csv",
        "report.html",
    ]
    assert json.loads(Page((folder / "report.html").read_text(encoding="utf-8")).study)["breakdowns"] == {}


def test_numbers_and_units() -> None:
    assert numbers([1.23456789, 64.0, 1e20, float("nan"), float("inf")]) == [1.23457, 64, 1e20, None, None]
    assert [type(n) for n in numbers([64.0, 0.5])] == [int, float]
    named = {"latency_s": "s", "edp_js": "Js", "dram.bandwidth_bytes_per_second": "B/s", "accuracy": ""}
    assert {name: unit_of(name) for name in named} == named
    assert unit_of("energy_by_cause_j.dram") == "J"


# -- the frame ---------------------------------------------------------------------------------------


def test_rows_of_a_frame_are_the_designs() -> None:
    space = done().space
    rows = space.sample(50, np.random.default_rng(9))
    names = [knob.name for knob in space.knobs]
    table = pd.DataFrame([space.decode(row) for row in rows], columns=names)
    assert (rows_of_frame(space, table) == rows).all()
    assert table["model.width[2]"].isna().any()


def test_a_frame_of_another_space_is_refused() -> None:
    data = done()
    with pytest.raises(UserError) as refused:
        rows_of_frame(data.space, data.frame.drop(columns="array.rows"))
    assert str(refused.value) == (
        "asked: a report of a study\nfound: no column 'array.rows'\nwhere: ReportData.frame\n"
        "next:  give the frame of the study's own store"
    )
    with pytest.raises(UserError) as refused:
        rows_of_frame(data.space, data.frame.assign(**{"array.rows": 12}))
    assert refused.value.found.endswith(" in row 0")
    assert refused.value.found.startswith("array.rows = ")
    assert refused.value.next_step == "give one of [8, 16, 32, 64]"


# -- tables, pictures, designs -----------------------------------------------------------------------


def test_tables_hold_everything(written: Path) -> None:
    data = done()
    tables = {path.stem: pd.read_csv(path) for path in written.glob("*.csv")}
    assert sorted(tables) == ["confirmed", "evaluations", "front", "history", "importance"]
    assert len(tables["evaluations"]) == len(data.frame)
    np.testing.assert_array_equal(tables["evaluations"]["latency_s"], data.frame["latency_s"])
    assert list(tables["front"]["design"]) == [place + 1 for place in data.front_positions]
    assert list(tables["front"]["latency_s"]) == sorted(tables["front"]["latency_s"])
    sums = tables["importance"].groupby("quantity")["share"].sum()
    assert list(sums) == pytest.approx([1, 1, 1])
    assert list(tables["history"]["hypervolume"]) == pytest.approx([v for _, v in data.history])
    assert list(tables["confirmed"]["state"]) == [*["simulated"] * 4, "failed"]
    assert tables["confirmed"]["reason"].iloc[-1] == f"no room for {HOSTILE}"
    assert (tables["confirmed"]["cycles_events"].iloc[:4] > 0).all()
    empty = replace(data, history=())
    assert list(history_frame(empty).columns) == ["evaluations", "hypervolume"]


def test_pictures_are_drawn_twice_alike(written: Path, tmp_path: Path) -> None:
    names = {"pareto", "parallel", "importance", "hypervolume"}
    assert {path.stem for path in written.glob("*.png")} == names
    again = write_report(tmp_path, replace(done())).parent
    for path in written.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert (again / path.name).read_text(encoding="utf-8") == text
        assert "layers &lt;i&gt;and&lt;/i&gt; arrays" in text
    pareto = (written / "pareto.svg").read_text(encoding="utf-8")
    for told in ("latency_s", "accuracy", "area_mm2", "on the front", "as events find it", "µs", "mm²"):
        assert told in pareto


def test_chosen_designs_are_what_was_searched(written: Path) -> None:
    """The files alone give the quantities that the study found."""
    data = done()
    found = sorted((written / "designs").glob("*.toml"))
    assert [int(f.stem.removeprefix("design-")) - 1 for f in found] == sorted(
        data.chosen, key=lambda p: str(p + 1)
    )
    for file in found:
        row = data.frame.iloc[int(file.stem.removeprefix("design-")) - 1]
        text = file.read_text(encoding="utf-8")
        model, design = re.search(r"--model (\S+) --design (\S+) --bits traced", text).groups()
        assert written / design == file
        report: Report = estimate(load_graph(written / model), load_design(file), bits="traced")
        assert report.latency_s == row["latency_s"]
        assert report.area_mm2 == pytest.approx(row["area_mm2"], rel=1e-12)
        assert tomllib.loads(text)["units"]["array"]["rows"] == row["array.rows"]
        assert f"evaluation {row.name + 1} of the study layers <i>and</i> arrays (random, seed 3)" in text
    assert (
        "; least latency_s\n"
        in (written / "designs" / f"design-{data.front_positions[0] + 1}.toml").read_text()
    )


def test_the_command_on_the_page_runs(written: Path) -> None:
    file = sorted((written / "designs").glob("*.toml"))[0]
    command = re.search(r"siliform (simulate .*)", file.read_text(encoding="utf-8"))[1]
    ran = subprocess.run(
        [sys.executable, "-m", "siliform", *command.split(), "--json"],
        cwd=written,
        capture_output=True,
        text=True,
        check=True,
    )
    told = done().confirmed[int(file.stem.removeprefix("design-")) - 1]
    assert json.loads(ran.stdout)["cycles"] == told["events"]["cycles"]


def test_designs_of_an_earlier_report_go_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "designs"
    folder.mkdir()
    (folder / "design-9999.toml").write_text("# design-9999: evaluation 9999 of the study x\n")
    (folder / "design-mine.toml").write_text("name = 'mine'\n")
    write_report(tmp_path, done(), pictures=False)
    assert not (folder / "design-9999.toml").exists()
    assert (folder / "design-mine.toml").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as refused:
        write_report(tmp_path / "file", done(), pictures=False)
    assert refused.value.found == "File exists"
    assert refused.value.next_step == "give a folder that can be written, with room on its disk"


def test_the_data_alone_say_which_designs_to_write() -> None:
    data: ReportData = replace(done(), confirmations={})
    assert len(data.chosen) == 6
    assert set(data.chosen) <= set(data.front_positions)
    assert data.chosen[0] == data.front_positions[0]

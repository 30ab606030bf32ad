"""Lines of measurements: their schema, reading back, what a killed run leaves, what a file says in sum."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import jsonschema
import pytest

from siliform import listing
from siliform.graph_ir.errors import UserError
from siliform.kernels.bench import checks, measurement, summary
from siliform.kernels.bench.case import Case
from siliform.kernels.bench.lines import Blank, told
from siliform.kernels.bench.measurement import Measurement
from tests.cpu.kernels.bench_fakes import FakeDevice, context

SCHEMA = listing.schema("measurement")


def case(family="matmul", kernel="matmul.matmul", sizes=None, **options) -> Case:
    sizes = sizes or {"m": 4, "n": 4, "k": 4}
    formats = {"operands": "bf16"}
    return Case(family, family, kernel, sizes, formats, options, ("cublas",), 1, False)


def line(of: Case | None = None, implementation="siliform", seconds=2e-6, **found) -> Measurement:
    blank = Blank(of or case(), FakeDevice(), context(Path("x")))
    timed = {
        "median_s": seconds,
        "spread": 0.1,
        "least_s": seconds,
        "samples": 5,
        "calls": 3,
        "timed": "graph",
    }
    return blank.made(implementation, "measured", None, **timed, **found)


def missing(of: Case | None = None, status="missing") -> Measurement:
    return Blank(of or case(), FakeDevice(), context(Path("x"))).made("siliform", status, "there is none")


@pytest.mark.parametrize(
    "made", [line(), line(error=0.1, energy_j=-1e-6), missing(), missing(status="failed")]
)
def test_a_line_is_of_the_schema_and_reads_back(made: Measurement):
    held = json.loads(made.line())
    jsonschema.validate(held, SCHEMA)
    assert Measurement.of(held) == made
    assert "\n" not in made.line()


def test_the_schema_names_every_field_and_no_other():
    fields = {field.name for field in dataclasses.fields(Measurement)} | {"format", "version"}
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == fields
    assert tuple(SCHEMA["properties"]["status"]["enum"]) == measurement.STATUSES


def test_committed_measurements_are_of_the_schema():
    """Nothing is there until a GPU was; whatever is there must be what the bench wrote."""
    for path in sorted(measurement.FOLDER.glob("*.jsonl")):
        for text in path.read_text().splitlines():
            jsonschema.validate(json.loads(text), SCHEMA)
    assert {m.status for m in measurement.read_all()} <= set(measurement.STATUSES)


@pytest.mark.parametrize(
    ("status", "median_s", "reason", "message"),
    [
        ("measured", None, None, "measured with a time of None s"),
        ("wrong", 1.0, "off", "wrong with a time of 1.0 s"),
        ("missing", None, None, "missing without a reason"),
        ("lost", None, "x", "status 'lost'; the statuses are measured, wrong, missing, refused, failed"),
    ],
)
def test_a_line_that_contradicts_itself_is_none(status, median_s, reason, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(line(), status=status, median_s=median_s, reason=reason)


def test_lines_are_appended_behind_the_last_whole_one(tmp_path: Path):
    path = tmp_path / "new" / "a.jsonl"
    first, second = line(), line(implementation="cublas")
    measurement.append(path, first)
    with path.open("a") as file:
        file.write(second.line()[:50])  # killed while writing
    assert measurement.read(path) == (first,)
    measurement.append(path, second)
    assert measurement.read(path) == (first, second)
    assert len(path.read_text().splitlines()) == 2


def test_the_last_line_of_a_key_counts(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    for made in (missing(status="failed"), line()):
        measurement.append(path, made)
    assert measurement.read(path) == (line(),) or measurement.read(path)[0].status == "measured"
    assert measurement.settled(measurement.read(path)) == {(case().name, "siliform")}


def test_what_is_missing_or_failed_is_not_settled():
    assert measurement.settled([missing(), missing(status="wrong"), missing(status="failed")]) == frozenset()
    assert measurement.settled([missing(status="refused")]) == {(case().name, "siliform")}


HELD = json.loads(line().line())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no json\n", "Expecting value: line 1 column 1 (char 0)"),
        ("no json", "Expecting value: line 1 column 1 (char 0)"),
        ('{"format": "other", "version": 1}\n', "format 'other' version 1"),
        ("[]\n", "[] instead of an object"),
        ("[]", "[] instead of an object"),
        (
            '{"format": "siliform-measurement", "version": 1}\n',
            "an object without case, suite, family and 34 more",
        ),
        (json.dumps(HELD | {"median_s": float("inf")}) + "\n", "Infinity is no number of JSON"),
        ('{"a": ' * 10**5 + "\n", "maximum recursion depth exceeded"),
    ],
)
def test_another_file_is_refused_with_its_line(tmp_path: Path, text, found):
    path = tmp_path / "a.jsonl"
    path.write_text(line().line() + "\n" + text)
    with pytest.raises(UserError) as caught:
        measurement.read(path)
    told = str(caught.value)
    assert told.startswith(f"asked: the measurements of {path}\nfound: no measurement: {found}")
    assert told.endswith(
        f"\nwhere: {path}:2\n"
        "next:  give a JSON Lines file that `siliform gpu bench` wrote (kernels/measurements/README.md)"
    )


#: Values that some fields have and others must not have.
ANYTHING = (
    *(None, True, -1, 0, 1, 0.5, -0.5, 10**400, "", "text", "9.0", "2026-01-01T12:00:00Z", "quick", "graph"),
    *("cold", "measured", [], ["bf16[2]"], [2], {}, {"a": 1}, {"a": -1}, {"a": "b"}, {"a": None}, {"a": []}),
)


@pytest.mark.parametrize("field", [name for name in HELD if name not in ("format", "version")])
def test_what_the_schema_refuses_is_refused_and_nothing_else(field: str):
    for value in ANYTHING:
        held = HELD | {field: value}
        by_schema = jsonschema.Draft202012Validator(SCHEMA).is_valid(held)
        assert (checks.fault(held) is None) == by_schema, (field, value)
    without = {name: value for name, value in HELD.items() if name != field}
    assert checks.fault(without) == f"an object without {field}"


@pytest.mark.parametrize("field", HELD["device"])
def test_so_is_what_a_device_cannot_be(field: str):
    for value in ANYTHING:
        held = HELD | {"device": HELD["device"] | {field: value}}
        by_schema = jsonschema.Draft202012Validator(SCHEMA).is_valid(held)
        assert (checks.fault(held) is None) == by_schema, (field, value)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"device": None}, "device is None, not an object"),
        (
            {"device": {}},
            "an object without device.name, device.capability, device.multiprocessors and 3 more",
        ),
        ({"formats": None}, "formats is None, not an object of texts"),
        ({"median_s": "fast"}, "median_s is 'fast', not a number above 0, or null"),
        ({"median_s": -1e-6}, "median_s is -1e-06, not a number above 0, or null"),
        ({"median_s": 1e999}, "median_s is inf, not a number above 0, or null"),
        ({"operands": [1, 2]}, "operands is [1, 2], not a list of texts, or null"),
        ({"attributes": ["causal"]}, "attributes is ['causal'], not an object, or null"),
        ({"family": "network"}, "a network without options.model"),
        ({"family": "network", "options": {"model": "gpt2"}}, "an object without sizes.batch, sizes.tokens"),
        ({"speed": 1}, "the unknown field 'speed'"),
        ({"versions": {"torch": "2"}}, "an object without versions.python, versions.triton, versions.cuda"),
        ({"reason": None, "status": "failed", "median_s": None}, ": failed without a reason"),
    ],
)
def test_what_a_line_lacks_is_told(changed, found: str):
    with pytest.raises(ValueError, match=re.escape(found)):
        Measurement.of(HELD | changed)


def test_a_last_line_without_an_end_counts_and_is_ended(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(line().line())
    assert measurement.read(path) == (line(),)
    measurement.append(path, line(implementation="cublas"))
    assert [m.implementation for m in measurement.read(path)] == ["siliform", "cublas"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        measurement.read(tmp_path / "none.jsonl")
    assert caught.value.found == "No such file or directory"


def lengths(*points: tuple[int, float, float]) -> list[Measurement]:
    made = []
    for tokens, ours, flash in points:
        of = case("linear_attention", "linear_attention.linear_attention", {"heads": 8, "tokens": tokens})
        made += [line(of, seconds=ours), line(of, "sdpa-flash", flash)]
    return made


@pytest.mark.parametrize(
    ("points", "from_tokens", "slower_at"),
    [
        (((1024, 3.0, 1.0), (4096, 3.0, 2.0), (8192, 3.0, 4.0), (65536, 9.0, 90.0)), 8192, 4096),
        (((1024, 1.0, 3.0), (4096, 2.0, 3.0)), 1024, None),
        (((1024, 3.0, 1.0), (4096, 3.0, 2.0)), None, 4096),
        (((1024, 1.0, 2.0), (4096, 3.0, 2.0), (8192, 1.0, 2.0)), 8192, 4096),
    ],
)
def test_the_crossover_is_where_longer_is_faster_for_good(points, from_tokens, slower_at):
    (row,) = summary.crossovers(lengths(*points))
    assert (row["from_tokens"], row["slower_at"]) == (from_tokens, slower_at)
    assert row["sizes"] == {"heads": 8}


def test_kernels_stand_beside_baselines_and_forms_beside_each_other():
    of = case("decode", "lean_attention.lean_attention", {"keys": 8}, variant="stream_k")
    other = case("decode", "lean_attention.lean_attention", {"keys": 8}, variant="per_head")
    found = [line(of, seconds=1e-6), line(of, "sdpa-flash", 3e-6), line(other, seconds=2e-6)]
    (row,) = summary.beside(found)
    assert (row["baseline"], row["speedup"]) == ("sdpa-flash", pytest.approx(3))
    (forms,) = summary.forms(found, "variant")
    assert forms["median_s"] == {"stream_k": 1e-6, "per_head": 2e-6}
    assert "   3.00  decode/decode bf16 variant=stream_k keys=8  sdpa-flash" in summary.text(found)


def test_what_is_not_in_order_is_told():
    text = summary.text([line(), missing(case(layout="nk"))])
    assert text.startswith("1 measured, 1 missing\n")
    assert "missing: matmul/matmul bf16 layout=nk m=4 n=4 k=4 (siliform): there is none" in text
    assert [m.status for m in summary.bad([line(), missing(status="wrong"), missing(status="refused")])] == [
        "wrong"
    ]


def test_ceilings_are_the_libraries_best():
    copied = case("copy", None, {"elements": 4})
    found = [
        dataclasses.replace(line(copied, "torch", 1e-3), least_bytes=3_000_000_000),
        dataclasses.replace(line(implementation="cublas", seconds=1e-3), operations=700_000_000_000),
        dataclasses.replace(line(seconds=1e-6), operations=900_000_000_000),
    ]
    assert summary.ceilings(found) == {
        "copy_bytes_per_second": pytest.approx(3e12),
        "bf16_operations_per_second": pytest.approx(7e14),
    }


def test_a_line_is_told_with_time_and_rate():
    made = dataclasses.replace(line(error=0.001), operations=4_000_000, least_bytes=2000)
    assert told(made) == (
        "matmul/matmul bf16 m=4 n=4 k=4  siliform: 2.00 us ± 10.0% 2 T/s 1 GB/s error 0.001"
    )
    assert told(missing()) == "matmul/matmul bf16 m=4 n=4 k=4  siliform: missing: there is none"

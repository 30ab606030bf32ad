"""What an installation holds: one top-level name, every room once, the data files; and no more."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("arch", "dse", "graph_ir", "kernels", "models", "rtl", "simulator")
DATA = (".toml", ".csv", ".json", ".sv", ".svh", ".js", ".css", ".cpp", ".typed")
BUILD = "from setuptools import build_meta as b; import sys; print(getattr(b, sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with their links, so that building leaves the checkout as it is."""
    copy = tmp_path_factory.mktemp("source") / "siliform"
    skipped = shutil.ignore_patterns(
        ".*", "build", "dist", "out", "__pycache__", "*.egg-info", "tests", "benchmarks"
    )
    shutil.copytree(ROOT, copy, symlinks=True, ignore=skipped)
    return copy


def build(source: Path, hook: str) -> Path:
    """Run one hook of the build backend, as pip does, and return what it made."""
    out = source.parent / hook
    command = [sys.executable, "-c", BUILD, hook, str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return build(source, "build_wheel")


def names(wheel: Path) -> list[str]:
    """Files of a wheel, less its metadata."""
    return [n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n]


def expected() -> set[str]:
    """Every module and data file of the checkout, by the name that an installation gives it."""
    files = [f for room in (*ROOMS, "siliform") for f in (ROOT / room).rglob("*") if f.is_file()]
    own = [f.relative_to(ROOT) for f in files if f.suffix in (".py", *DATA) and "__pycache__" not in f.parts]
    return {str(f) if f.parts[0] == "siliform" else f"siliform/{f}" for f in own}


def test_setting_up_compiles_the_mapper() -> None:
    """So that nobody's first estimate waits for it; the machine code lies beside the sources."""
    planned = subprocess.run(
        ["make", "-n", "setup", "VENV=elsewhere"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "elsewhere/bin/python -m siliform.simulator.mapping.warm" in planned
    from siliform.simulator.mapping.search import search_all

    if "NUMBA_CACHE_DIR" not in os.environ:
        kept = Path(search_all.stats.cache_path).resolve()
        assert kept == ROOT / "simulator" / "mapping" / "__pycache__"


def test_links_point_at_the_rooms() -> None:
    """One relative link per room, one to the demo's study, and none that anything else hides behind."""
    links = {f.name: str(f.readlink()) for f in (ROOT / "siliform").iterdir() if f.is_symlink()}
    study = {"demo_study.toml": "../examples/bert-hardware.toml"}
    assert links == {room: f"../{room}" for room in ROOMS} | study


def test_wheel_installs_one_top_level_name(wheel: Path) -> None:
    """A user's own `models` or `kernels` meets nothing of ours."""
    assert {n.split("/")[0] for n in names(wheel)} == {"siliform"}


def test_wheel_holds_every_module_and_data_file_once(wheel: Path) -> None:
    """Nothing forgotten, nothing twice, no byte code."""
    found = names(wheel)
    assert len(found) == len(set(found))
    assert set(found) == expected()


def test_installed_copy_imports_every_room(wheel: Path, tmp_path: Path) -> None:
    """Away from the checkout, with its folders unreachable, the rooms are packages of siliform."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    imports = ", ".join(f"siliform.{room}" for room in ROOMS)
    code = f"import sys; sys.path.insert(0, 'site'); import {imports}; print(siliform.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == tmp_path / "site" / "siliform" / "__init__.py"


def test_editable_install_maps_one_top_level_name(source: Path) -> None:
    """`pip install -e .` finds siliform in the checkout and nothing beside it."""
    with zipfile.ZipFile(build(source, "build_editable")) as wheel:
        (finder,) = [n for n in wheel.namelist() if n.endswith("finder.py")]
        (hook,) = [n for n in wheel.namelist() if n.endswith(".pth")]
        tree = ast.parse(wheel.read(finder))
        hooked = wheel.read(hook).decode()
    (mapping,) = [
        n.value for n in ast.walk(tree) if isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "MAPPING"
    ]
    assert ast.literal_eval(mapping) == {"siliform": str(source / "siliform")}
    assert hooked.startswith("import __editable__"), "a path line would make every room a top-level name"


def test_source_archive_follows_the_links(source: Path, wheel: Path) -> None:
    """An sdist holds the rooms once, as plain files below siliform/, and builds the same wheel."""
    with tarfile.open(build(source, "build_sdist")) as archive:
        assert not [m.name for m in archive if m.issym() or m.islnk()]
        archive.extractall(source.parent / "unpacked", filter="data")
    (unpacked,) = (source.parent / "unpacked").iterdir()
    assert not [room for room in ROOMS if (unpacked / room).exists()]
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= {f.name for f in unpacked.iterdir()}
    assert sorted(names(build(unpacked, "build_wheel"))) == sorted(names(wheel))


def run_in_checkout(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` where the bare folders of the rooms can be imported."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "kernels"])
def test_room_refuses_to_be_a_top_level_name(room: str) -> None:
    """From the checkout a room could be imported bare, and so a second time: it says what to write."""
    done = run_in_checkout(f"import {room}")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"ImportError: the room '{room}' was imported as the top-level package '{room}'; "
        f"import it as siliform.{room}, so that it is loaded once and under one name"
    )


def test_bare_kernels_is_empty() -> None:
    """transformers looks for another distribution named kernels: ours must pass for an absent one."""
    done = run_in_checkout("import kernels; print([n for n in vars(kernels) if not n.startswith('__')])")
    assert done.stdout.strip() == "[]", done.stderr
    submodules = [f.stem for f in (ROOT / "kernels").glob("*.py") if f.stem != "__init__"] or ["matmul"]
    done = run_in_checkout(f"import kernels.{submodules[0]}")
    assert f"No module named 'kernels.{submodules[0]}'" in done.stderr

"""What is there of a method: read from the sources and the tests that would have to be there.

Nothing is loaded: files are found and read. That it "works" can be false: a test, a circuit or a kernel that
a method names and that is gone makes it "missing".
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from siliform.kernels.gpu.aot import kernel_files
from siliform.models.catalogue import ALIASES, MODELS
from siliform.models.methods import METHODS, Method
from siliform.rtl.catalogue import UNITS

#: State of a model, a circuit or a kernel: there and held by tests; not so; not needed; or not to be told,
#: since an installation has no tests.
WORKS, MISSING, NOT_NEEDED, UNKNOWN = "works", "missing", "-", "unknown"

_MODELS = Path(__file__).parent / "models"
_KERNELS = Path(__file__).parent / "kernels" / "gpu"
_TESTS = Path(__file__).resolve().parents[1] / "tests"
#: Traces, costs and simulates every method of the catalogue.
GENERIC = Path("cpu", "methods", "test_catalogue_of_methods.py")
_OVER_ALL = re.compile(
    r'^@pytest\.mark\.parametrize\("method", METHODS\.values\(\), ids=METHODS\)\n'
    r"def test_it_is_costed_and_simulated_with_nothing_for_free\(",
    re.MULTILINE,
)


def model_state(method: Method, tests: Path = _TESTS) -> str:
    """Whether its module or models are there, every test that it names, and the test that traces them all.

    `tests` is the folder of tests; "unknown" where it holds none of Siliform's.
    """
    if not (tests / GENERIC).is_file():
        return UNKNOWN
    named = (test.partition("::") for test in method.tests)
    held = (
        METHODS.get(method.name) == method
        and _OVER_ALL.search(_text(tests / GENERIC)) is not None
        and _module_there(method)
        and all(_defines(tests / file, function) for file, _, function in named)
    )
    return WORKS if held else MISSING


def rtl_state(method: Method) -> str:
    """Whether every unit made for the method exists in silicon."""
    if not method.units:
        return NOT_NEEDED
    return WORKS if set(method.units) <= set(UNITS) else MISSING


def gpu_state(method: Method, tests: Path = _TESTS) -> str:
    """Whether every GPU kernel that it names is compiled ahead of time and run by a test of kernels."""
    if not method.kernels:
        return NOT_NEEDED
    if not all(map(_compiled, method.kernels)):
        return MISSING
    if not (tests / GENERIC).is_file():
        return UNKNOWN
    return WORKS if set(method.kernels) <= _tested_kernels(tests / "cpu" / "kernels") else MISSING


def _module_there(method: Method) -> bool:
    if not all(ALIASES.get(name, name) in MODELS for name in method.models):
        return False
    if method.mixer is None:
        return True
    module, _, name = method.mixer.head.partition(":")
    file = _MODELS.joinpath(*module.split(".")).with_suffix(".py")
    return file.is_file() and re.search(rf"^class {name}\b", _text(file), re.MULTILINE) is not None


def _defines(file: Path, function: str) -> bool:
    return file.is_file() and re.search(rf"^def {function}\(", _text(file), re.MULTILINE) is not None


def _compiled(stem: str) -> bool:
    """Whether the file of kernels has some that are compiled ahead of time, or calls some of one that has."""
    file, known = _KERNELS / f"{stem}.py", set(kernel_files())
    return stem in known or (file.is_file() and not known.isdisjoint(_imported(file)))


@cache
def _tested_kernels(folder: Path) -> frozenset[str]:
    """Stems of kernel files that tests in a folder import from."""
    return frozenset(stem for file in folder.glob("test_*.py") for stem in _imported(file))


def _imported(file: Path) -> list[str]:
    """Stems of the files of kernels that a file imports from."""
    found: list[str] = re.findall(r"^\s*from siliform\.kernels\.gpu\.(\w+)", _text(file), re.MULTILINE)
    return found


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")

"""What is there of a method: read from the sources and the tests that would have to be there.

Nothing is loaded: files are found and read. A state can be false: a test, a circuit or a kernel that a method
names and that is gone makes it "missing".
"""

from __future__ import annotations

import ast
from pathlib import Path

from siliform.kernels.bench.measurement import FOLDER as MEASUREMENTS
from siliform.kernelstates import compiled, definitions, interpreted, measured
from siliform.models.catalogue import ALIASES, MODELS
from siliform.models.methods import METHODS, Method
from siliform.rtl.catalogue import UNITS

#: State of a model, a circuit or a kernel: there and held by tests; not so; not needed; or not to be told,
#: since an installation has no tests.
WORKS, MISSING, NOT_NEEDED, UNKNOWN = "works", "missing", "-", "unknown"
#: State of a kernel that is held by tests which need no GPU, and of one that a GPU ran as well.
PENDING, MEASURED = "interpreted, compiled", "measured"

_MODELS = Path(__file__).parent / "models"
_TESTS = Path(__file__).resolve().parents[1] / "tests"
#: Traces, costs and simulates every method of the catalogue, in this test and with this decorator.
GENERIC = Path("cpu", "methods", "test_catalogue_of_methods.py")
_OVER_ALL = "test_it_is_costed_and_simulated_with_nothing_for_free"
_EVERY = "pytest.mark.parametrize('method', METHODS.values(), ids=METHODS)"


def model_state(method: Method, tests: Path = _TESTS) -> str:
    """Whether its module or models are there, every test that it names, and the test that traces them all.

    `tests` is the folder of tests; "unknown" where it holds none of Siliform's.
    """
    if not (tests / GENERIC).is_file():
        return UNKNOWN
    named = (test.partition("::") for test in method.tests)
    held = (
        METHODS.get(method.name) == method
        and _over_all(tests / GENERIC)
        and _module_there(method)
        and all(_defines(tests / file, function) for file, _, function in named)
    )
    return WORKS if held else MISSING


def rtl_state(method: Method) -> str:
    """Whether every unit made for the method exists in silicon."""
    if not method.units:
        return NOT_NEEDED
    return WORKS if set(method.units) <= set(UNITS) else MISSING


def gpu_state(method: Method, tests: Path = _TESTS, measurements: Path = MEASUREMENTS) -> str:
    """What every GPU kernel that it names is: compiled and interpreted by tests of kernels, or measured too.

    `measurements` is the folder of what GPUs gave; a kernel that none has run yet is pending.
    """
    if not method.kernels:
        return NOT_NEEDED
    if not (tests / GENERIC).is_file():
        return UNKNOWN
    folder = tests / "cpu" / "kernels"
    if not all(compiled(stem, folder) and interpreted(stem, folder) for stem in method.kernels):
        return MISSING
    return MEASURED if all(measured(stem, measurements) for stem in method.kernels) else PENDING


def _module_there(method: Method) -> bool:
    if not all(ALIASES.get(name, name) in MODELS for name in method.models):
        return False
    if method.mixer is None:
        return True
    module, _, name = method.mixer.head.partition(":")
    file = _MODELS.joinpath(*module.split(".")).with_suffix(".py")
    return isinstance(definitions(file).get(name), ast.ClassDef)


def _defines(file: Path, function: str) -> bool:
    return isinstance(definitions(file).get(function), ast.FunctionDef)


def _over_all(file: Path) -> bool:
    """Whether the test over the catalogue is there, and takes every method."""
    test = definitions(file).get(_OVER_ALL)
    return isinstance(test, ast.FunctionDef) and _EVERY in map(ast.unparse, test.decorator_list)

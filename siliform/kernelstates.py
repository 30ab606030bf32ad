"""What is there of a GPU kernel, read from its file, the tests and the measurements; nothing of it is run.

A kernel is known by the stem of its file. Its host functions start jitted functions, there or in other files.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from siliform.kernels.bench.measurement import read_all

KERNELS = Path(__file__).parent / "kernels" / "gpu"
_PACKAGE = "siliform.kernels.gpu"
#: Compiles what is in the ``COMPILED`` of every kernel file.
COMPILES = "test_compile.py"


def compiled(stem: str, tests: Path) -> bool:
    """Whether all that its host functions start is in the lists of what a test in a folder compiles."""
    started = [place for host in hosts(stem) for place in _jitted(stem, host)]
    if not started or not (tests / COMPILES).is_file():
        return False
    return all((file, name) in _jitted(file, "COMPILED") for file, name in started)


def interpreted(stem: str, tests: Path) -> bool:
    """Whether a test in a folder, or what a test there uses, calls each of its host functions."""
    own = {(stem, host) for host in hosts(stem)}
    return bool(own) and own <= _called(tests)


def measured(stem: str, folder: Path) -> bool:
    """Whether measurements in a folder have it, checked and timed on a GPU."""
    return stem in _timed(folder)


@cache
def hosts(stem: str) -> tuple[str, ...]:
    """Its host functions: the one of the file's name, or else all public ones that start something."""
    known = definitions(KERNELS / f"{stem}.py")
    if stem in known:
        return (stem,)
    public = (n for n, node in known.items() if isinstance(node, ast.FunctionDef) and not n.startswith("_"))
    return tuple(name for name in public if _jitted(stem, name) not in (frozenset(), {(stem, name)}))


@cache
def definitions(file: Path) -> dict[str, ast.stmt]:
    """Functions, classes and values of a module by name; none where there is no such file."""
    found: dict[str, ast.stmt] = {}
    for node in _tree(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


@cache
def _jitted(stem: str, name: str) -> frozenset[tuple[str, str]]:
    """File and name of each jitted function that a definition of a kernel file uses, through others.

    What jitted functions use in their turn is compiled with them.
    """
    found, seen, left = set(), set(), [(stem, name)]
    while left:
        place = left.pop()
        if place in seen:
            continue
        seen.add(place)
        file = KERNELS / f"{place[0]}.py"
        node = definitions(file).get(place[1])
        imported = _imported(file)
        if node is None:
            continue
        if isinstance(node, ast.FunctionDef) and "triton.jit" in map(ast.unparse, node.decorator_list):
            found.add(place)
            continue
        left += [imported.get(used, (place[0], used)) for used in _names(node)]
    return frozenset(found)


@cache
def _called(folder: Path) -> frozenset[tuple[str, str]]:
    """Stem and name of what the tests of a folder call of kernel files."""
    found: set[tuple[str, str]] = set()
    for file in folder.glob("test_*.py"):
        known, imported = definitions(file), _imported(file)
        left, seen = [name for name in known if name.startswith("test_")], set()
        while left:
            name = left.pop()
            if name in seen or name not in known:
                continue
            seen.add(name)
            left += _names(known[name])
            calls = (node for node in ast.walk(known[name]) if isinstance(node, ast.Call))
            found |= {imported[used] for call in calls for used in _names(call.func) if used in imported}
    return frozenset(found)


@cache
def _timed(folder: Path) -> frozenset[str]:
    """Stems of kernel files of which a folder has measurements."""
    own = (m for m in read_all(folder) if m.implementation == "siliform" and m.status == "measured")
    return frozenset(m.kernel.partition(".")[0] for m in own if m.kernel is not None)


@cache
def _imported(file: Path) -> dict[str, tuple[str, str]]:
    """What a file imports from kernel files: its name there -> stem of the kernel file, name in it."""
    return {
        alias.asname or alias.name: (node.module.removeprefix(f"{_PACKAGE}."), alias.name)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_PACKAGE}.") and node.module
        for alias in node.names
    }


def _names(node: ast.AST) -> Iterator[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")

"""The ladder of imports: which room may import which, and which libraries, and where.

An import counts wherever it stands, inside a function too. A library in the third column may be
imported inside a function only, so that a light room stays light.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DYNAMIC = ("__import__", "import_module")
LADDER = {  # room: (rooms below, libraries anywhere, libraries inside functions)
    "graph_ir": ("", "numpy ml_dtypes safetensors", "networkx"),
    "arch": ("graph_ir", "numpy pydantic", "pandas matplotlib"),
    "simulator": ("arch graph_ir", "numpy simpy numba", "pandas rich matplotlib"),
    "rtl": ("arch graph_ir", "numpy pyrtl cocotb", "matplotlib cocotb_tools find_libpython"),
    "kernels": ("graph_ir", "numpy ml_dtypes torch triton", "transformers pynvml"),
    "models": ("kernels graph_ir", "numpy ml_dtypes torch safetensors", "transformers tokenizers sklearn"),
    "dse": (
        "simulator arch graph_ir",
        "numpy pydantic",
        "pymoo optuna sklearn scipy torch moocore loky distributed cloudpickle threadpoolctl pandas pyarrow "
        "matplotlib",
    ),
    "siliform": (
        "graph_ir arch simulator rtl kernels models dse",
        "numpy typer rich",
        "torch transformers pandas matplotlib",
    ),
}


def imports(tree: ast.AST, late: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Every import below `tree`: its line, the dotted name, and whether it waits for a call."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names):
                yield from ((node.lineno, alias.name, late) for alias in names)
            case ast.ImportFrom(module, names, level):
                stem = "." * level + (module or "")
                yield from ((node.lineno, f"{stem}.{alias.name}", late) for alias in names)
            case ast.Call(ast.Name(called) | ast.Attribute(attr=called), [argument, *_]) if called in DYNAMIC:
                first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
                yield node.lineno, str(getattr(first, "value", "")), late
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, late or typing_only or function)


def complaint(room: str, name: str, late: bool) -> str:
    """Why `room` may not import `name` there, or nothing."""
    below, anywhere, lazily = (set(column.split()) for column in LADDER[room])
    top, _, rest = name.partition(".")
    if top == "siliform":
        target = rest.partition(".")[0]
        target = target if target in LADDER else "siliform"
        return "" if target in below | {room} else f"{room} stands below {target}, or beside it"
    if top in LADDER or top == "":
        return "rooms are imported through `siliform.`, never bare or relative"
    if top in sys.stdlib_module_names or top in anywhere or (late and top in lazily):
        return ""
    return (
        f"{room} may import {top} inside a function only"
        if top in lazily
        else f"{top} is no library of {room}"
    )


def judge(room: str, path: Path, source: str) -> list[str]:
    """One line per bad import: file, line, name and reason."""
    found = [(line, name, complaint(room, name, late)) for line, name, late in imports(ast.parse(source))]
    return [f"{path}:{line}: imports {name}: {why}" for line, name, why in found if why]


@pytest.mark.parametrize("room", LADDER)
def test_room_keeps_to_the_ladder(room: str) -> None:
    """Each file of the room imports only what stands below it."""
    files = sorted((ROOT / room).glob("*.py" if room == "siliform" else "**/*.py"))
    assert files, f"{room}/ holds no Python file"
    bad = [b for f in files for b in judge(room, f.relative_to(ROOT), f.read_text(encoding="utf-8"))]
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.parametrize(
    ("room", "source", "reason"),
    [
        ("arch", "from siliform.simulator import report", "arch stands below simulator, or beside it"),
        ("kernels", "def f():\n    import siliform.models.gpt", "kernels stands below models, or beside it"),
        ("dse", "def f():\n    import_module(f'siliform.rtl.{x}')", "dse stands below rtl, or beside it"),
        ("dse", "m = importlib.import_module('siliform.models')", "dse stands below models, or beside it"),
        ("simulator", "from siliform import rtl", "simulator stands below rtl, or beside it"),
        ("graph_ir", "from siliform import __version__", "graph_ir stands below siliform, or beside it"),
        ("graph_ir", "import arch.unit", "rooms are imported through `siliform.`, never bare or relative"),
        ("graph_ir", "from . import space", "rooms are imported through `siliform.`, never bare or relative"),
        ("graph_ir", "import networkx", "graph_ir may import networkx inside a function only"),
        ("graph_ir", "def f():\n    import networkx", ""),
        ("graph_ir", "if TYPE_CHECKING:\n    import networkx", ""),
        ("graph_ir", "class A:\n    import torch", "torch is no library of graph_ir"),
    ],
)
def test_the_ladder_sees(room: str, source: str, reason: str) -> None:
    """Each way of stepping off the ladder is seen, with its line."""
    bad = judge(room, Path("x.py"), source)
    assert [b.rpartition(": ")[2] for b in bad] == ([reason] if reason else [])
    assert all(b.startswith(f"x.py:{source.count(chr(10)) + 1}: imports ") for b in bad)

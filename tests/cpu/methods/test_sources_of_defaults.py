"""Numbers that a constructor has by default have a source, or are told to be an assumption."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

MODELS = Path(__file__).parents[3] / "models"
ROOMS = ("mixers", "reducers", "networks")
#: Sizes of a task, which no paper chooses.
SIZES = {"sequence", "classes"}
SOURCE = re.compile(
    r"arXiv|[Aa]ssumption|authors|PatchTST|Longformer's|`\w+`'s sources|released|(equation|section) \d"
)


def numbers(init: ast.FunctionDef) -> list[str]:
    """Names of arguments whose default is a number written there, 0 and 1 left out."""
    plain = init.args.args[len(init.args.args) - len(init.args.defaults) :]
    pairs = [*zip(plain, init.args.defaults, strict=True)]
    pairs += [(a, d) for a, d in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True) if d]
    return [
        argument.arg
        for argument, default in pairs
        if isinstance(default, ast.Constant)
        and type(default.value) in (int, float)
        and default.value not in (0, 1)
        and argument.arg not in SIZES
    ]


def without_source(source: str) -> Iterator[str]:
    """Classes with such numbers, and neither a source nor the word in what they say of themselves."""
    for made in ast.walk(ast.parse(source)):
        if isinstance(made, ast.ClassDef):
            for part in made.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__init__" and numbers(part):
                    told = (ast.get_docstring(made) or "") + (ast.get_source_segment(source, part) or "")
                    if not SOURCE.search(told):
                        yield f"{made.name}({', '.join(numbers(part))})"


def test_numbers_by_default_have_a_source_or_are_assumptions() -> None:
    found = [
        f"{path.relative_to(MODELS)}: {name}"
        for room in ROOMS
        for path in sorted((MODELS / room).glob("*.py"))
        for name in without_source(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_number_without_a_source_is_found() -> None:
    head = 'class A:\n    """{}"""\n    def __init__(self, width, sequence=8, heads=1, chunk={}): ...\n'
    assert list(without_source(head.format("Chunks.", 64))) == ["A(chunk)"]
    assert list(without_source(head.format("Chunks (assumption: 64).", 64))) == []
    assert list(without_source(head.format("Chunks.", None))) == []

"""Chosen designs as files that `siliform simulate` takes: the hardware as TOML, the network as a graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from siliform.dse.codesign import CoDesign
from siliform.dse.report.data import ReportData
from siliform.graph_ir.errors import UserError

#: Below the report's folder.
FOLDER = "designs"


@dataclass(frozen=True)
class Written:
    """A design as files.

    Attributes
    ----------
    place : in the frame.
    name : "design-17": by its evaluation, counted from 1.
    why : it was chosen.
    toml : the design, with where it is from as a comment; "" where no such design can be, which `why` says.
    graph : the network's text, and `network` the name of its file: designs with the same network share it.
    command : simulates the design, in the report's folder.
    """

    place: int
    name: str
    why: str
    toml: str = ""
    graph: str = ""
    network: str = ""
    command: str = ""


def written(data: ReportData) -> tuple[Written, ...]:
    """The chosen designs of a study; none where the problem has no hardware to write down."""
    problem = data.problem
    if not isinstance(problem, CoDesign):
        return ()
    networks: dict[str, str] = {}
    found = []
    for place in data.chosen:
        name = f"design-{place + 1}"
        try:
            found.append(_written(data, problem, place, name, networks))
        except UserError as error:
            found.append(Written(place, name, f"cannot be written: {error.found}"))
    return tuple(found)


def _written(data: ReportData, problem: CoDesign, place: int, name: str, networks: dict[str, str]) -> Written:
    from siliform.arch.design import design_toml

    row = data.rows[place]
    network, hardware = problem.choices(row)
    chip = replace(
        problem.hardware.with_choices(hardware),
        name=name,
        description=f"{problem.hardware.base.name} as the study {data.study.name} has it in {name}",
    )
    text = str(problem.graph(row))
    file = networks.setdefault(text, f"network-{len(networks) + 1}.graph")
    command = f"siliform simulate --model {FOLDER}/{file} --design {FOLDER}/{name}.toml --bits traced"
    if problem.objective != "latency":
        command += f" --objective {problem.objective}"
    why = reasons_chosen(data).get(place, "spread over the front")
    lines = [
        f"{name}: evaluation {place + 1} of the study {data.study.name} "
        f"({data.study.engine}, seed {data.study.seed}); {why}",
        f"design:  {problem.hardware.design} with {_json(hardware)}",
        f"network: {problem.model.name} with {_json(network)}, as {file}",
        f"found:   {_json(found_values(data, place))}",
        f"run:     {command}",
    ]
    comment = "".join(f"# {_one_line(line)}\n" for line in lines)
    return Written(place, name, why, f"{comment}\n{design_toml(chip)}", text, file, command)


def reasons_chosen(data: ReportData) -> Mapping[int, str]:
    """Of the designs that are best in an objective: place in the frame, and in which."""
    front = data.front_positions
    found: dict[int, list[str]] = {}
    for objective in data.objectives if len(front) else ():
        best = int(front[np.argmin(objective.cost(data.of(objective.name)[front]))])
        word = "most" if objective.maximise else "least"
        found.setdefault(best, []).append(f"{word} {objective.name}")
    return {place: ", ".join(names) for place, names in found.items()}


def found_values(data: ReportData, place: int) -> dict[str, float]:
    """A design's quantities, those that are known."""
    values = {name: float(column[place]) for name, column in data.values.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def write_designs(data: ReportData, folder: Path) -> list[Path]:
    """Write the chosen designs and their networks below `folder`; OSError where that cannot be done."""
    for old in (folder / FOLDER).glob("design-*.toml"):  # of a report that was written here before
        if old.read_text(encoding="utf-8").startswith(f"# {old.stem}: evaluation "):
            old.unlink()
    paths = []
    for design in written(data):
        if not design.toml:
            continue
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        for name, text in ((f"{design.name}.toml", design.toml), (design.network, design.graph)):
            path = folder / FOLDER / name
            path.write_text(text, encoding="utf-8")
            if path not in paths:
                paths.append(path)
    return paths


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False)


def _one_line(text: str) -> str:
    """Text for a comment: TOML takes no line break or control character there."""
    return "".join(c if c == "\t" or (c >= " " and c != "\x7f") else " " for c in text)

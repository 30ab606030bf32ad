"""The schema of a study file; its JSON Schema is what ``siliform schema study`` prints."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from siliform.simulator.estimate import OBJECTIVES


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Head(_Strict):
    """What the study is called, and how long it goes on."""

    name: str = Field("", description="for reports; the file's name where left out")
    seed: int = Field(0, ge=0, description="of every random choice")
    budget: int | str = Field(1000, description='evaluations, or a time such as "2min"')
    confirm: int = Field(0, ge=0, description="designs of the front to simulate by events at the end")


class Design(_Strict):
    """The design that the hardware knobs vary."""

    name: str = Field(description="of a design, or the path of a TOML file")
    set: dict[str, Any] = Field(default_factory=dict, description="overrides that hold for every point")
    objective: Literal[OBJECTIVES] = Field(  # type: ignore[valid-type]
        "latency", description="what the mapper minimises, node by node"
    )


class Engine(BaseModel):
    """Who says which points to evaluate next; other keys are its options."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: str = Field("nsga2", description="as `siliform sweep --help` lists them")


class ObjectiveTable(_Strict):
    """A quantity to make small or large."""

    name: str
    goal: Literal["minimise", "maximise"] | None = Field(
        None, description="maximise for accuracy and utilization, else minimise, where left out"
    )
    ideal: float | None = Field(None, description="what counts as 0 in the hypervolume")
    reference: float | None = Field(None, description="what counts as 1 in the hypervolume")
    log: bool = Field(False, description="distances on a logarithmic scale")


class ConstraintTable(_Strict):
    """A limit that every design of the front keeps."""

    name: str
    at_most: float | str | None = None
    at_least: float | str | None = None


class StudyTables(_Strict):
    """A study file."""

    study: Head = Field(default_factory=lambda: Head.model_validate({}))
    network: dict[str, Any]
    design: Design
    space: dict[str, Any]
    engine: Engine = Field(default_factory=lambda: Engine.model_validate({}))
    objectives: Annotated[list[ObjectiveTable], Field(min_length=1)]
    constraints: list[ConstraintTable] = Field(default_factory=list)


def study_schema() -> dict[str, Any]:
    """The JSON Schema of a study file; dse/study.schema.json holds it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:siliform:study:1",
    }
    return head | StudyTables.model_json_schema()

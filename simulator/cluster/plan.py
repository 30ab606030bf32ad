"""Parallel plans as values, and the sharded work that a plan makes of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.graph import Graph
from siliform.simulator.cluster.context import ContextLayouts, context_layouts
from siliform.simulator.cluster.placement import PLACEMENTS
from siliform.simulator.cluster.stages import stages_of
from siliform.simulator.cluster.steps import Step, steps_of
from siliform.simulator.cluster.tensor import LocalGraph, tensor_parallel

KINDS = ("ring", "heads")
#: Words of --parallel, and what each takes.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "tensor": "N",
        "context": "N[,ring|heads][,blocks|zigzag|striped]",
        "pipeline": "STAGES[,MICROBATCHES]",
    }
)


def _at_least_one(what: str, number: int) -> None:
    if number < 1:
        raise UserError(
            asked=f"{what} of {number}",
            found=f"{number} is less than 1",
            where="--parallel",
            next_step="give a whole number of 1 or more",
        )


@dataclass(frozen=True)
class TensorParallel:
    """Every layer shared by `degree` devices, two sums a layer (Megatron-LM)."""

    degree: int = 1

    def __post_init__(self) -> None:
        _at_least_one("tensor parallelism", self.degree)


@dataclass(frozen=True)
class ContextParallel:
    """Tokens shared by `degree` devices.

    Attributes
    ----------
    kind : "ring": keys and values pass around; "heads": an all-to-all before and behind attention.
    placement : which tokens a device holds, see `placement`; with "heads" it changes nothing.
    """

    degree: int = 1
    kind: str = "ring"
    placement: str = "zigzag"

    def __post_init__(self) -> None:
        _at_least_one("context parallelism", self.degree)
        for what, word, known in (("kind", self.kind, KINDS), ("placement", self.placement, PLACEMENTS)):
            if word not in known:
                raise UserError(
                    asked=f"context parallelism of {what} {word!r}",
                    found=f"no {what} of that name",
                    where="--parallel",
                    next_step=f"use {nearest(word, known)}",
                )


@dataclass(frozen=True)
class PipelineParallel:
    """Layers in `stages` that follow one another, the batch in `microbatches` that pass through them."""

    stages: int = 1
    microbatches: int = 1

    def __post_init__(self) -> None:
        _at_least_one("a pipeline", self.stages)
        _at_least_one("microbatches", self.microbatches)


@dataclass(frozen=True)
class Plan:
    """A combination; the product of its degrees is the number of devices.

    Devices are numbered with the tensor group innermost, then the context group, then the stages, so
    that those that talk most are neighbours.
    """

    tensor: TensorParallel = field(default_factory=TensorParallel)
    context: ContextParallel = field(default_factory=ContextParallel)
    pipeline: PipelineParallel = field(default_factory=PipelineParallel)

    @property
    def devices(self) -> int:
        """How many devices the plan takes."""
        return self.tensor.degree * self.context.degree * self.pipeline.stages

    @property
    def described(self) -> str:
        """The plan in the words of --parallel; "none" for one device."""
        words = []
        if self.tensor.degree > 1:
            words.append(f"tensor={self.tensor.degree}")
        if self.context.degree > 1:
            placed = f",{self.context.placement}" if self.context.kind == "ring" else ""
            words.append(f"context={self.context.degree},{self.context.kind}{placed}")
        if self.pipeline.stages > 1 or self.pipeline.microbatches > 1:
            words.append(f"pipeline={self.pipeline.stages},{self.pipeline.microbatches}")
        return " ".join(words) or "none"

    def device(self, stage: int, context: int, tensor: int) -> int:
        """The number of a device by its places in the three groups."""
        return (stage * self.context.degree + context) * self.tensor.degree + tensor

    def check(self, devices: int) -> None:
        """Refuse a number of devices that is not the product of the degrees."""
        if self.devices != devices:
            raise UserError(
                asked=f"{self.described} on {devices} devices",
                found=f"degrees whose product is {self.devices}",
                where="--devices",
                next_step=f"give --devices {self.devices}, or other degrees",
            )


def parse_plan(words: list[str]) -> Plan:
    """A plan from words such as ``tensor=4``, ``context=2,ring,striped`` and ``pipeline=2,8``.

    Raises
    ------
    UserError : an unknown word, a number that is none.
    """
    found: dict[str, TensorParallel | ContextParallel | PipelineParallel] = {}
    for word in words:
        name, _, rest = word.partition("=")
        numbers = [part for part in rest.split(",") if part.isdigit()]
        names = [part for part in rest.split(",") if not part.isdigit()]
        legal = name in WORDS and numbers and all(names) and name not in found
        if not legal or len(numbers) > 1 + (name == "pipeline") or (names and name != "context"):
            raise UserError(
                asked=f"--parallel {word}",
                found=f"{name} twice" if name in found else "no plan of that form",
                where="--parallel",
                next_step="write " + " or ".join(f"{known}={form}" for known, form in WORDS.items()),
            )
        if name == "tensor":
            found[name] = TensorParallel(int(numbers[0]))
        elif name == "pipeline":
            found[name] = PipelineParallel(*map(int, numbers))
        else:
            found[name] = _context(int(numbers[0]), names)
    return Plan(**found)  # type: ignore[arg-type]


def _context(degree: int, names: list[str]) -> ContextParallel:
    kinds = [name for name in names if name not in PLACEMENTS]
    placements = [name for name in names if name in PLACEMENTS]
    return ContextParallel(degree, *kinds[:1], **{"placement": placements[0]} if placements else {})


@dataclass(frozen=True, eq=False)
class Sharded:
    """What a plan makes of a graph: the steps of each device, and what they are cut from."""

    plan: Plan
    local: LocalGraph
    layouts: ContextLayouts
    steps: tuple[Step, ...]


def shard(graph: Graph, plan: Plan) -> Sharded:
    """Cut a graph by a plan: first its layers, then its tokens, then its depth.

    Raises
    ------
    UserError : what context parallelism cannot cut; fewer layers than stages.
    """
    local = tensor_parallel(graph, plan.tensor.degree)
    context = plan.context
    placement = "blocks" if context.kind == "heads" else context.placement
    layouts = context_layouts(local.graph, context.degree, placement, context.kind)
    stages = stages_of(local.graph, plan.pipeline.stages)
    return Sharded(plan, local, layouts, steps_of(local, layouts, stages))

"""`VitSupernet`: a vision transformer that a search can vary, with its real accuracy and its traced graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.knobs import Knob, Value
from siliform.models.statistics import wilson
from siliform.models.supernet.data import Data, data_named, side_of
from siliform.models.supernet.deployment import composed, with_data
from siliform.models.supernet.family import Choices, Family
from siliform.models.supernet.judging import correct, deployed
from siliform.models.supernet.sharing import Weights
from siliform.models.supernet.storage import place, read, write
from siliform.models.supernet.storage import recipe_text as text_of_recipe
from siliform.models.supernet.training import Progress, Recipe, train_family

CLASSES = 10  # both data sets are of decimal digits
PATCH = {"digits": 2, "mnist-5k": 4}  # pixels: 16 and 49 tokens
EPOCHS = {"digits": 50, "mnist-5k": 12}  # some 60 s and 80 s of one core


@dataclass(eq=False)
class VitSupernet:
    """A family of vision transformers that share one set of weights.

    Parameters
    ----------
    data : "digits" or "mnist-5k".
    patch : pixels along a patch; None for the data set's own.
    depth, width, heads, ffn, attention, head_width : as `Family` says.
    weight_formats, activation_formats : element formats that a layer may have.
    epochs : of training; None for the data set's own.
    batch_images, learning_rate, random_networks, train_images, seed : as `Recipe` says.
    graph_images : images that one run of the graph takes.

    Raises
    ------
    UserError : where an argument makes no sense; with its name.
    """

    data: str = "digits"
    patch: int | None = None
    depth: Sequence[int] = (2, 3, 4)
    width: Sequence[int] = (16, 32, 48)
    heads: Sequence[int] = (1, 2, 3)
    ffn: Sequence[int] = (48, 96, 144)
    attention: Sequence[str] = ("softmax", "linear", "hash")
    head_width: int = 16
    weight_formats: Sequence[str] = ("binary", "ternary", "int4", "int8")
    activation_formats: Sequence[str] = ("int4", "int8")
    epochs: int | None = None
    batch_images: int = Recipe.batch_images
    learning_rate: float = Recipe.learning_rate
    random_networks: int = Recipe.random_networks
    train_images: int | None = None
    seed: int = 0
    graph_images: int = 1
    folder: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.graph_images, int) or self.graph_images < 1:
            raise UserError(
                asked=f"a supernet with graph_images = {self.graph_images!r}",
                found="no number of images",
                where="VitSupernet.graph_images",
                next_step="give a whole number of 1 or more",
            )
        side_of(self.data)
        _ = self.family, self.recipe

    @property
    def name(self) -> str:
        """Of the network, its files and its graphs."""
        return f"vit-{self.data}"

    @cached_property
    def family(self) -> Family:
        """The members."""
        lists = ("depth", "width", "heads", "ffn", "attention", "weight_formats", "activation_formats")
        return Family(
            side=side_of(self.data),
            patch=PATCH[self.data] if self.patch is None else self.patch,
            classes=CLASSES,
            head_width=self.head_width,
            **{name: _listed(name, getattr(self, name)) for name in lists},
        )

    @cached_property
    def recipe(self) -> Recipe:
        """How they are trained."""
        return Recipe(
            epochs=EPOCHS[self.data] if self.epochs is None else self.epochs,
            batch_images=self.batch_images,
            learning_rate=self.learning_rate,
            random_networks=self.random_networks,
            train_images=self.train_images,
            seed=self.seed,
        )

    def knobs(self) -> tuple[Knob, ...]:
        """depth, width, and per layer heads, ffn, attention, bits.weight and bits.activation."""
        return self.family.knobs

    def prepare(self, folder: Path, progress: Progress) -> None:
        """Have the weights in `folder`: trained now, unless a file of this very recipe lies there."""
        self.folder = Path(folder)
        self.__dict__.pop("_weights", None)
        if not self._file.exists():
            write(
                self._file,
                train_family(self.family, self.recipe, self._data.train, progress),
                self.recipe_text,
            )
        _ = self._weights

    def graph(self, choices: Choices) -> Graph:
        """The member alone, in its formats, without data: estimate it with ``bits="traced"``."""
        return composed(self.family.member(choices), self.name, self.graph_images)

    def deployed_graph(self, choices: Choices) -> Graph:
        """The same graph with its weights and scales, which `siliform.graph_ir.interpret` runs."""
        member = self.family.member(choices)
        network = deployed(self._weights, member, self._data.train)
        return with_data(composed(member, self.name, self.graph_images), network)

    def measure(self, choices: Choices) -> dict[str, float]:
        """Accuracy with the shared weights on the validation images, with Wilson's 95 % interval."""
        return self._judged(choices, "validation")

    def test_accuracy(self, choices: Choices) -> dict[str, float]:
        """The same on the test images, which neither training nor a search has seen: for a last word."""
        return self._judged(choices, "test")

    def full(self) -> dict[str, Value]:
        """The base network: all sizes at their most, the first kind of attention, the widest formats."""
        return self.family.choices(self.family.largest())

    def _judged(self, choices: Choices, part: str) -> dict[str, float]:
        network = deployed(self._weights, self.family.member(choices), self._data.train)
        images = getattr(self._data, part)
        found = wilson(correct(network, images), len(images))
        return {"accuracy": found.value, "accuracy_low": found.low, "accuracy_high": found.high}

    @property
    def _data(self) -> Data:
        return data_named(self.data)

    @cached_property
    def recipe_text(self) -> str:
        """All that decides the weights, as JSON: the arguments, and a digest of the code that trains."""
        return text_of_recipe(data=self.data, family=self.family, recipe=self.recipe)

    @property
    def _file(self) -> Path:
        if self.folder is None:
            raise UserError(
                asked=f"the accuracy of a member of {self.name}",
                found="no trained weights",
                where="VitSupernet",
                next_step="call prepare(folder, progress) first; it trains, or reads what it trained before",
            )
        return place(self.folder, self.name, self.recipe_text)

    @cached_property
    def _weights(self) -> Weights:
        return read(self._file, self.recipe_text)

    def __getstate__(self) -> Mapping[str, Any]:
        """What pickles: the arguments and the folder, never the weights."""
        return {name: value for name, value in self.__dict__.items() if name in self.__dataclass_fields__}


def _listed(name: str, given: Any) -> tuple[Any, ...]:
    """A list, as a study file gives it, as a tuple."""
    if isinstance(given, list | tuple | range):
        return tuple(given)
    raise UserError(
        asked=f"a supernet with {name} = {given!r}",
        found=f"a {type(given).__name__}",
        where=f"VitSupernet.{name}",
        next_step=f"give a list, such as {name} = [{given!r}]",
    )

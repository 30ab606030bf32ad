"""The packaged MiniLM as a network that a search may vary: depth, heads, neurons, formats, quantisers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.knobs import Knob, Value, categorical, ordered, per_layer
from siliform.models.minilm.design import LINEARS, AfterGelu, AfterNorm, Design, Layer, LayerFormats, Softmax
from siliform.models.minilm.tasks import CLASSES, task_named

if TYPE_CHECKING:
    from siliform.graph_ir.graph import Graph
    from siliform.models.minilm.backbone import Backbone
    from siliform.models.minilm.evaluate import Evaluator
    from siliform.models.minilm.graphs import Pieces
    from siliform.models.minilm.pruning import Pruning

#: Sizes of the packaged network: its config.json.
_DEPTH, _HEADS, _NEURONS = 6, 12, 1536

#: Which linear layers share a knob of weight formats.
GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "layer": {"weight": LINEARS},
    "group": {"weight.attention": LINEARS[:4], "weight.up": ("up",), "weight.down": ("down",)},
    "linear": {f"weight.{name}": (name,) for name in LINEARS},
}

#: Choices that are one word per layer, with those of them that leave things as they are.
_PLAIN = {"softmax": "none", "after_norm": "tensor", "after_gelu": "tensor"}


class MiniLM:
    """Sub-networks of the packaged all-MiniLM-L6-v2 in number formats, judged on labelled texts.

    Each option below that takes several values is a knob; one with a single value is settled.

    Parameters
    ----------
    task : "sentiment" (movie snippets, two classes) or "r8" (Reuters news, eight).
    examples, training : test texts that an accuracy is measured on, and training texts that the head is
        fitted to. The accuracy's 95 % interval is 2 * 4 % wide with 500 examples.
    depths : numbers of layers, counted from the input. Knob ``depth``.
    heads, ffn : attention heads and FFN neurons per layer. Knobs ``heads[i]``, ``ffn[i]``.
    weights : weight formats; ``per`` says what shares one: "layer" (knobs ``weight[i]``), "group"
        (``weight.attention[i]``, ``weight.up[i]``, ``weight.down[i]``), "linear" (``weight.query[i]``, ...).
    activations : activation formats. Knob ``activation[i]``.
    softmax, after_norm, after_gelu : quantisers, see `LayerFormats`. Knobs of these names.
    head : "refitted" to the features of each sub-network as quantised, or "kept" from its float features.
    scales : "mse" or "minmax".
    sequence : tokens of the deployed graph's one text. Accuracy is measured on texts of up to 64.
    wide : format of all that is not quantised, in the deployed graph.
    dtype : "bfloat16" or "float32", the wide format of the measurement.

    Raises
    ------
    UserError : an unknown task, format or quantiser, sizes that the network does not have.
    """

    def __init__(
        self,
        task: str = "sentiment",
        *,
        examples: int = 500,
        training: int = 1000,
        depths: Iterable[int] = (3, 4, 5, 6),
        heads: Iterable[int] = (6, 8, 10, 12),
        ffn: Iterable[int] = (512, 1024, 1536),
        weights: Iterable[str] = ("int4", "int8"),
        activations: Iterable[str] = ("int8",),
        softmax: Iterable[str] = ("none",),
        after_norm: Iterable[str] = ("tensor",),
        after_gelu: Iterable[str] = ("tensor",),
        per: str = "group",
        head: str = "refitted",
        scales: str = "mse",
        sequence: int = 128,
        wide: str = "fp16",
        dtype: str = "bfloat16",
    ) -> None:
        self._options = {
            name: tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
            for name, value in locals().items()
            if name != "self"
        }
        self.name = f"minilm-{task}"
        task_named(task)
        self.task, self.examples, self.training = task, examples, training
        self.per, self.head, self.scales, self.wide, self.dtype = per, head, scales, wide, dtype
        self.sequence = _within("sequence", sequence, 512)  # position_embeddings has 512 rows
        self._depths = _sizes("depths", self._options["depths"], _DEPTH)
        self._heads = _sizes("heads", self._options["heads"], _HEADS)
        self._ffn = _sizes("ffn", self._options["ffn"], _NEURONS)
        _check("per", per, GROUPS)
        _check("head", head, ("refitted", "kept"))
        _check("scales", scales, ("mse", "minmax"))
        _check("dtype", dtype, ("bfloat16", "float32"))
        for name, known in (("softmax", Softmax), ("after_norm", AfterNorm), ("after_gelu", AfterGelu)):
            for value in self._options[name]:
                _check(name, value, get_args(known))
        self._knobs = self._declared()
        self._fixed = {knob.name: knob.values[0] for knob in self._knobs if len(knob) == 1}
        self._folder: Path | None = None
        self._lazy: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without weights, texts and traces: those are loaded again where it is unpickled."""
        return {"options": self._options, "folder": self._folder}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state["options"])  # type: ignore[misc]
        self._folder = state["folder"]

    # --- the network that a search sees ------------------------------------------------------------

    def knobs(self) -> tuple[Knob, ...]:
        """Everything that has more than one value; a layer's knobs are active where the depth reaches it."""
        return tuple(knob for knob in self._knobs if len(knob) > 1)

    def full(self) -> dict[str, Value]:
        """The deepest and widest network in the formats of most bits, its quantisers the plain ones."""
        chosen = {knob.name: _fullest(knob) for knob in self._knobs}
        return {knob.name: chosen[knob.name] for knob in self.knobs()}

    def design(self, choices: Mapping[str, Value]) -> Design:
        """The layers of a point; UserError where a choice is missing or is no knob's value.

        Choices of layers beyond the depth may be there or not, and mean nothing.
        """
        known = {knob.name: knob for knob in self.knobs()}
        for name, value in choices.items():
            if name not in known:
                raise UserError(
                    asked=f"{self.name} with {name} = {value!r}",
                    found="no knob of that name",
                    where=f"choices of {self.name}",
                    next_step=f"use one of the nearest: {nearest(name, known)}",
                )
            known[name].index(value)
        given = {**self._fixed, **choices}
        return tuple(self._layer(index, given) for index in range(int(_chosen(given, "depth"))))

    def graph(self, choices: Mapping[str, Value]) -> Graph:
        """The deployed sub-network: one text of `sequence` tokens, number formats assigned, no data.

        An affine that RepQuant folds into a second copy of a LayerNorm's, and what codes mean, are not in
        it: a quantiser changes which levels there are, and costs nothing here.
        """
        return self._pieces.graph(self.design(choices), self.wide)

    def measure(self, choices: Mapping[str, Value]) -> dict[str, float]:
        """Share of test texts answered right, "accuracy", with the bounds of its 95 % interval.

        The same for the same choices, in any order of calls. Where the first layers are those of the call
        before, they are not run again.
        """
        from siliform.models.statistics import accuracy

        found = accuracy(self.correct(choices))
        return {"accuracy": found.value, "accuracy_low": found.low, "accuracy_high": found.high}

    def correct(self, choices: Mapping[str, Value]) -> Any:
        """Right or wrong per test text, bool [examples]: what paired tests of `models.statistics` take."""
        return self._evaluator.correct(self.design(choices))

    def prepare(
        self, folder: Path, progress: Callable[[str, int, int], None] = lambda what, done, total: None
    ) -> None:
        """Finds which heads and neurons matter and traces each shape of layer, or reads both from `folder`.

        Each file appears there whole, by one rename. Nothing is trained.

        Raises
        ------
        UserError : data that was not fetched, more texts asked for than there are.
        """
        from siliform.models.minilm.tasks import splits

        splits(self.task, self.training, self.examples)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._lazy = Path(folder), {}
        self._found(progress)
        shapes = [(heads, neurons) for heads in self._heads for neurons in self._ffn]
        self._pieces.ready(shapes, progress)

    # --- inside ------------------------------------------------------------------------------------

    def _declared(self) -> tuple[Knob, ...]:
        options = self._options
        depth = ordered("depth", self._depths, meaning="layers, counted from the input")
        each = [
            ordered("heads", self._heads, meaning="attention heads of a layer, the most important ones"),
            ordered("ffn", self._ffn, meaning="neurons of a layer's FFN, the most important ones"),
        ]
        for name, linears in GROUPS[self.per].items():
            told = f"weight format of {', '.join(linears)}"
            each.append(ordered(name, _by_bits(options["weights"]), meaning=told))
        told = "format of a layer's activations"
        each.append(ordered("activation", _by_bits(options["activations"]), meaning=told))
        for name in _PLAIN:
            each.append(categorical(name, options[name], meaning=f"quantiser: {name.replace('_', ' ')}"))
        return (depth, *(knob for one in each for knob in per_layer(one, depth)))

    def _layer(self, index: int, given: Mapping[str, Value]) -> Layer:
        def chosen(name: str) -> Any:
            return _chosen(given, f"{name}[{index}]")

        weights = {one: chosen(name) for name, linears in GROUPS[self.per].items() for one in linears}
        plain = {name: chosen(name) for name in _PLAIN}
        formats = LayerFormats(**weights, activation=chosen("activation"), **plain)
        return Layer(chosen("heads"), chosen("ffn"), formats)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._lazy:
            self._lazy[name] = make()
        return self._lazy[name]

    @property
    def _network(self) -> Backbone:
        from siliform.models.minilm.backbone import backbone

        return backbone()

    def _found(self, progress: Callable[[str, int, int], None] = lambda what, done, total: None) -> Pruning:
        from siliform.models.minilm.pruning import pruning

        arguments = (self._network, self.task, self._heads, self._ffn, self._folder, progress)
        return self._once("pruning", lambda: pruning(*arguments))

    @property
    def _evaluator(self) -> Evaluator:
        return self._once("evaluator", self._make_evaluator)

    def _make_evaluator(self) -> Evaluator:
        import torch

        from siliform.models.minilm.evaluate import Evaluator
        from siliform.models.minilm.tasks import splits

        train, test = splits(self.task, self.training, self.examples)
        return Evaluator(
            self._network,
            self._found,
            train,
            test,
            head=self.head,  # type: ignore[arg-type]
            how=self.scales,  # type: ignore[arg-type]
            dtype=getattr(torch, self.dtype),
        )

    @property
    def _pieces(self) -> Pieces:
        from siliform.models.minilm.graphs import Pieces

        return self._once("pieces", lambda: Pieces(CLASSES[self.task], self.sequence, self._folder))


def _chosen(given: Mapping[str, Value], name: str) -> Any:
    if name not in given:
        raise UserError(
            asked="a point of the MiniLM",
            found=f"no choice of {name}",
            where="choices",
            next_step=f"give {name} one of its values; MiniLM(...).knobs() lists them",
        )
    return given[name]


def _by_bits(names: Iterable[str]) -> list[str]:
    """Formats with few bits first; among equals, in the order given."""
    return sorted(names, key=lambda name: format_named(name).bits)


def _fullest(knob: Knob) -> Value:
    plain = _PLAIN.get(knob.name.partition("[")[0])
    return plain if plain in knob.values else knob.values[-1]  # type: ignore[return-value]


def _sizes(name: str, given: Iterable[int], most: int) -> tuple[int, ...]:
    return tuple(sorted(_within(name, size, most) for size in given))


def _within(name: str, size: int, most: int) -> int:
    if not 1 <= size <= most:
        raise UserError(
            asked=f"MiniLM with {name} {size}",
            found=f"the packaged network has {most}",
            where=f"MiniLM({name}=...)",
            next_step=f"give 1 to {most}",
        )
    return size


def _check(name: str, value: str, known: Iterable[str]) -> None:
    options = tuple(known)
    if value not in options:
        raise UserError(
            asked=f"MiniLM with {name} {value!r}",
            found="no choice of that name",
            where=f"MiniLM({name}=...)",
            next_step=f"use one of {', '.join(options)}",
        )

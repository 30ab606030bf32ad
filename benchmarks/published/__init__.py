"""Published figures, reproduced from traced graphs: ``python -m benchmarks.published``.

A family is a module of this package with a function ``rows() -> list[Row]`` that takes seconds, and a line
in `FAMILIES`; its docstring stands over its table. A row's figure is computed from a graph or a law, never
stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

#: The modules of this package that have rows, in the order of the page.
FAMILIES: tuple[str, ...] = (
    "serving",
    "ecoformer",
    "poolformer",
    "sparse_query",
    "memoryformer",
    "binary",
    "reshaped",
    "mamba",
    "sparse_attention",
    "t2t_vit",
    "token_reduction",
    "flexdit",
    "byte_transformer",
    "gpu_attention",
)  # fmt: skip

#: "within" the tolerance of the published figure, "outside" of it, or inside a published "bound"; "fitted"
#: where it agrees because something that the paper does not print was chosen so; "alone" where nothing is
#: published for that size.
Verdict = Literal["within", "bound", "fitted", "outside", "alone"]

_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"


@dataclass(frozen=True)
class Row:
    """One published figure and ours.

    Attributes
    ----------
    source : paper and table, with its arXiv number.
    what : the configuration.
    unit : of both figures, as "G MAC" or "% saved".
    published : as it is printed, so that its digits are known: "1.8", "39,398,784"; "<= 75" or ">= 40" for a
        bound, "40..60" for a range; None where nothing is published and ours is told by the same rule.
    ours : in the same unit.
    tolerance : relative to the published figure; half of its last printed digit where that is more.
    rule : the counting rule, by name: "1 FLOP = 1 MAC, norms and softmax left out".
    note : why a row is outside, or what else a reader must know.
    fitted : what was chosen, for want of a printed value, so that the figure comes out: such a row shows that
        the figure can be met, not that it was predicted.
    """

    source: str
    what: str
    unit: str
    published: str | None
    ours: float
    tolerance: float
    rule: str
    note: str = ""
    fitted: str = ""

    def __post_init__(self) -> None:
        text = self.published
        if text is not None and not re.fullmatch(rf"((<=|>=) )?{_NUMBER}|{_NUMBER}\.\.{_NUMBER}", text):
            raise ValueError(f"{self.what}: {text!r} is no figure as printed, like 1.8, <= 75 or 40..60")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"{self.what}: a tolerance of {self.tolerance} is no share of the figure")
        if not (self.source and self.what and self.unit and self.rule):
            raise ValueError(f"{self.what!r}: source, what, unit and rule must be told")
        if self.fitted and text is None:
            raise ValueError(f"{self.what}: fitted to a figure that is not published")

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Between which figures ours agrees with the published one."""
        if self.published is None:
            return float("-inf"), float("inf")
        low, _, high = self.published.partition("..")
        sign, number = re.fullmatch(rf"(<= |>= )?({_NUMBER})", low).groups()  # type: ignore[union-attr]
        if high:
            return self._slack(low)[0], self._slack(high)[1]
        below, above = self._slack(number)
        return (float("-inf") if sign == "<= " else below), (float("inf") if sign == ">= " else above)

    @property
    def verdict(self) -> Verdict:
        if self.published is None:
            return "alone"
        low, high = self.limits
        if not low <= self.ours <= high:
            return "outside"
        if self.fitted:
            return "fitted"
        return "within" if re.fullmatch(_NUMBER, self.published) else "bound"

    @property
    def deviation(self) -> float | None:
        """Ours over the published figure, less 1; None for a bound or where nothing is published."""
        if self.published is None or not re.fullmatch(_NUMBER, self.published):
            return None
        return self.ours / _value(self.published) - 1

    @property
    def allowed(self) -> float | None:
        """The relative tolerance that is used: the row's own, or half of the last printed digit."""
        if self.deviation is None or self.published is None:
            return None
        return (self._slack(self.published)[1] - _value(self.published)) / abs(_value(self.published))

    def _slack(self, printed: str) -> tuple[float, float]:
        value = _value(printed)
        _, _, fraction = printed.partition(".")
        slack = max(self.tolerance * abs(value), 0.5 * 10.0 ** -len(fraction))
        # A figure that lies on the edge does not fall off it by the last bit of a float.
        slack *= 1 + 1e-9
        return value - slack, value + slack


def _value(printed: str) -> float:
    return float(printed.replace(",", ""))

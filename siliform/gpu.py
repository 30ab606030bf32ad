"""The GPU model judged by measured kernels: public tables, or lines that `siliform gpu bench` wrote.

>>> import siliform as sf
>>> found = sf.gpu.validate(gpus=["nvidia-h100"], families=["gemm"])
>>> found.error("gemm", "nvidia-h100", "vllm")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError, nearest

SOURCES = ("aiconfigurator", "none")
MEASURE = "measure some with `siliform gpu bench` on a machine with a GPU"
SMALL_SECONDS = 1e-5  # kernels that are over sooner are shown apart: launches weigh more than work
WORST = 10

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """Kernels of one family on one GPU as one library runs them, predicted and measured.

    Attributes
    ----------
    family, design, framework, version, format : of all rows; of lines of our own the framework is the
        implementation's name.
    shapes : what names a row, one text each.
    sizes : int64, by row and axis: the counts that larger kernels have more of.
    predicted_s, measured_s : float64.
    held_out : rows that no constant has been fitted to.
    reason : of lines of our own, what the line says of why a row is far off; None for public tables.
    """

    family: str
    design: str
    framework: str
    version: str
    format: str
    shapes: Callable[[int], str]
    sizes: Any
    predicted_s: Any
    measured_s: Any
    held_out: Any
    reason: Callable[[int], str] | None = None

    @property
    def name(self) -> tuple[str, str, str, str]:
        """Family, design, framework and format."""
        return self.family, self.design, self.framework, self.format

    @property
    def own(self) -> bool:
        """Whether these are lines of `siliform gpu bench`, to which no constant has been fitted."""
        return self.reason is not None

    @property
    def errors(self) -> Any:
        """Predicted over measured, less one."""
        return self.predicted_s / self.measured_s - 1

    def figures(self, which: Any) -> Figures | None:
        """Of the rows that a mask chooses; None where there is none."""
        errors = self.errors[which]
        if not errors.size:
            return None
        return Figures(
            rows=int(errors.size),
            mean=float(np.mean(np.abs(errors))),
            median=float(np.median(np.abs(errors))),
            worst=float(np.max(np.abs(errors))),
            bias=float(np.exp(np.mean(np.log(self.predicted_s[which] / self.measured_s[which]))) - 1),
        )

    def parts(self) -> dict[str, Figures | None]:
        """Held out: all, small and large; and what constants were fitted to, where they were."""
        small = self.measured_s < SMALL_SECONDS
        return {
            "held_out": self.figures(self.held_out),
            "small": self.figures(self.held_out & small),
            "large": self.figures(self.held_out & ~small),
            "rest": self.figures(~self.held_out),
        }


@dataclass(frozen=True)
class Figures:
    """Absolute errors as shares of the measured time; `bias` is the geometric mean of predicted over
    measured, less one."""

    rows: int
    mean: float
    median: float
    worst: float
    bias: float


@dataclass(frozen=True)
class Worst:
    """A row that is far from its prediction, and what the data say of why."""

    family: str
    design: str
    framework: str
    format: str
    shape: str
    measured_s: float
    predicted_s: float
    reason: str

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class Refused:
    """Measured kernels that the model cannot be asked about, and why."""

    case: str
    reason: str


@dataclass(frozen=True)
class Validation:
    """What `validate` found.

    Attributes
    ----------
    tables : by family, GPU, framework and format.
    refused : of lines of our own, those that there is no prediction of.
    """

    source: str
    tables: tuple[Judged, ...]
    refused: tuple[Refused, ...] = ()

    def table(self, family: str, design: str, framework: str, format_name: str = "bf16") -> Judged:
        """The table of that name; KeyError for one that is not there."""
        return next(t for t in self.tables if t.name == (family, design, framework, format_name))

    def error(self, family: str, design: str, framework: str, format_name: str = "bf16") -> float:
        """Mean absolute error of the held-out rows, as a share of the measured time."""
        figures = self.table(family, design, framework, format_name).parts()["held_out"]
        assert figures is not None
        return figures.mean

    def pooled(self) -> Iterator[tuple[str, str, str, Figures]]:
        """By family, GPU and format, the held-out rows of all frameworks together, of public tables alone.

        Lines of our own are of different implementations, replayed or launched one by one: one figure of
        them all would say nothing.
        """
        public = [t for t in self.tables if not t.own]
        for family, design, form in dict.fromkeys((t.family, t.design, t.format) for t in public):
            parts = [t for t in public if (t.family, t.design, t.format) == (family, design, form)]
            predicted, measured = (
                np.concatenate([getattr(t, name)[t.held_out] for t in parts])
                for name in ("predicted_s", "measured_s")
            )
            whole = np.full(len(measured), True)
            rows = Judged(family, design, "all", "", form, str, None, predicted, measured, whole)
            figures = rows.figures(rows.held_out)
            if figures is not None:
                yield family, design, form, figures

    def worst(self, count: int = WORST) -> tuple[Worst, ...]:
        """The rows farthest from their predictions, by the factor between them, with reasons."""
        from siliform.gpu_reasons import worst_rows

        return worst_rows(self.tables, count)


def validate(
    source: str = "aiconfigurator",
    *,
    measurements: str | Path | None = None,
    gpus: Sequence[str] | None = None,
    families: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
) -> Validation:
    """Join predictions and measurements of GPU kernels.

    Parameters
    ----------
    source : "aiconfigurator", the public tables of the package of that name, or "none".
    measurements : a JSON Lines file that `siliform gpu bench` wrote, or a folder of such files, judged too;
        None for those of kernels/measurements, where there are any, unless `gpus` or `families` ask for a
        part of the public tables.
    gpus, families : designs and families to judge, of both; all by default.
    tell : called with what is being read.

    Raises
    ------
    UserError : an unknown source, GPU or family; a package that is not installed; a file that is none;
        nothing that could be judged.
    """
    if source not in SOURCES:
        raise _unknown("source", source, SOURCES)
    gpus = _known("gpu", gpus, _gpus())
    families = _known("family", families, _families())
    tables: list[Judged] = []
    refused: tuple[Refused, ...] = ()
    if source == "aiconfigurator":
        tables += _public(gpus, families, tell)
    known = Path(measurements) if measurements is not None else _committed(source, gpus, families)
    if known is not None:
        from siliform.gpu_lines import judged_lines

        tell(f"predicting what {known} measured")
        own, refused = judged_lines(known, gpus, families)
        tables += own
    if not tables:
        raise _nothing(source, gpus, families)
    return Validation(source, tuple(tables), refused)


def _committed(source: str, gpus: Sequence[str], families: Sequence[str]) -> Path | None:
    """The folder of committed measurements; None where it holds none, or a part of other tables is asked."""
    from siliform.kernels.bench.measurement import FOLDER

    part = source != "none" and (gpus or families)
    return FOLDER if not part and any(FOLDER.glob("*.jsonl")) else None


def _gpus() -> tuple[str, ...]:
    from siliform.arch.tech.measured import GPUS

    return tuple(GPUS)


def _families() -> tuple[str, ...]:
    """Those of the public tables, and those of the bench."""
    from siliform.arch.tech.measured import FAMILIES
    from siliform.kernels.bench.case import load

    return tuple(dict.fromkeys((*FAMILIES, *(case.family for case in load()["full"]))))


def _known(option: str, asked: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """What is asked, each once; UserError for a name that is not known."""
    for name in asked or ():
        if name not in known:
            raise _unknown(option, name, known)
    return tuple(dict.fromkeys(asked or ()))


def part_asked(gpus: Sequence[str], families: Sequence[str]) -> str:
    """The part of the measurements that is asked for, in words."""
    return f"{', '.join(families) or 'all families'} on {', '.join(gpus) or 'all GPUs'}"


def _nothing(source: str, gpus: Sequence[str], families: Sequence[str]) -> UserError:
    """The error of a validation that would judge nothing."""
    if source == "none":
        return UserError(
            asked=f"the GPU model judged by measured kernels: {part_asked(gpus, families)}",
            found="no public tables, by --source none, and no measurements in kernels/measurements",
            where="--source",
            next_step=f"leave --source out, or {MEASURE} and give --measurements FILE",
        )
    return UserError(
        asked=f"the GPU model judged by measured kernels: {part_asked(gpus, families)}",
        found="no rows of them in the public tables",
        where="--gpu and --family",
        next_step="leave one of both out and see what there is: " + _wider(gpus, families),
    )


def _wider(gpus: Sequence[str], families: Sequence[str]) -> str:
    words = [f"--gpu {name}" for name in gpus] or [f"--family {name}" for name in families]
    return f"`siliform gpu validate {' '.join(words) if gpus and families else ''}".rstrip() + "`"


def _public(gpus: Sequence[str], families: Sequence[str], tell: Tell) -> Iterator[Judged]:
    from siliform.arch.design import load_design
    from siliform.arch.gpu.gpu import Gpu
    from siliform.arch.tech.measured import FAMILIES, FORMATS, GPUS, TABLES, package_folder, rows_of
    from siliform.arch.tech.measured_as import predicted_seconds

    package_folder()
    for family in (name for name in families or FAMILIES if name in FAMILIES):
        for design in gpus or GPUS:
            gpu = Gpu.of(load_design(design))
            for framework in TABLES[design]:
                for form in FORMATS.values() if family == "gemm" else ("bf16",):
                    tell(f"{family} on {design}, {framework}, {form}")
                    rows = rows_of(design, family, framework, form)
                    if rows is None or form not in gpu.rates:
                        continue
                    yield Judged(
                        family,
                        design,
                        framework,
                        rows.version,
                        form,
                        _shape_text(rows),
                        np.stack(list(rows.shape.values()), 1),
                        predicted_seconds(gpu, rows),
                        rows.seconds,
                        rows.held_out,
                    )


def _shape_text(rows: Any) -> Callable[[int], str]:
    """What names a row: M x N x K, or the axes that are not their defaults."""

    def text(index: int) -> str:
        at = {name: int(values[index]) for name, values in rows.shape.items()}
        if rows.family == "gemm":
            return f"{at['m']} x {at['n']} x {at['k']}"
        shown = [f"batch {at['batch']}"]
        shown += [f"{at['tokens']} tokens"] if rows.family != "decode" else [f"{at['cached']} cached"]
        shown += [f"heads {at['heads']}/{at['groups']} of {at['width']}"]
        shown += [f"window {at['window']}"] if at["window"] else []
        return ", ".join(shown)

    return text


def _unknown(option: str, given: str, known: Sequence[str]) -> UserError:
    return UserError(
        asked=f"--{option} {given}",
        found=f"the names are {', '.join(known)}",
        where=f"--{option}",
        next_step=f"use one of the nearest: {nearest(given, known)}",
    )

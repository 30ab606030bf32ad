"""What a family says of its cases: operands, how a kernel and its baselines are called, what is exact."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.dtypes import DTYPE_OF, FORMAT_OF

Tensors = Mapping[str, torch.Tensor]
Thunk = Callable[[], torch.Tensor]

#: Relative error by norm that a result may have, by its format. Rounding to bf16 is off by 2**-9 at most,
#: 1.7e-3 by norm, and to fp16 by an eighth of that; fp32 sums of thousands of terms lose a few of 24 bits.
BOUNDS: Mapping[str, float] = {"bf16": 4e-3, "fp16": 6e-4, "fp32": 1e-5, "int8": 0.0, "int32": 0.0}
#: The same of a library, whose expressions round to bf16 on the way too (weights, the state of every step).
#: assumption: less than this, while another function (another mask, a scale left out) is off by far more.
LIBRARY_BOUND = 5e-2
#: What torch says where it has no kernel for a device, a format or sizes (attention, _int_mm, _scaled_mm,
#: cuBLAS, nested tensors), or no compiler; lower case. Anything else that a library raises is a failure.
CANNOT = (
    *("no available kernel", "no viable backend", "not supported", "not_supported", "only supported"),
    *("unsupported", "not implemented", "needs to be greater than", "to be divisible by", "multiple of"),
    *("working triton installation", "find c compiler"),
)
EXAMINED_ROWS = 256  # of a result that is too large to be computed whole in float64


class Missing(Exception):
    """There is no such kernel; the text says what was looked for."""


class Refused(Exception):
    """This device, or these libraries, cannot run it; the text says why."""


@dataclass(frozen=True)
class Examined:
    """A part of the result, in float64, and how the same part is taken of what was made."""

    exact: torch.Tensor
    part: Callable[[torch.Tensor], torch.Tensor]
    text: str


@dataclass(frozen=True)
class Work:
    """`operations` (twice the multiply-accumulates where there are any); operands and results each once."""

    operations: int
    least_bytes: int


@dataclass(frozen=True)
class OpForm:
    """The case as an op of graph_ir's catalogue: types of the operands and attributes."""

    operands: tuple[str, ...]
    attributes: Mapping[str, Any]


class Family(ABC):
    """Cases that share operands, baselines and the meaning of their axes. Subclasses are without state."""

    name: str
    #: Implementations that compute another function of the same job: their error is not told.
    other_functions: frozenset[str] = frozenset()
    #: Whether operands are so large that one set is cycled only (whole networks).
    one_set = False

    @abstractmethod
    def operands(self, case: Case, device: torch.device) -> Tensors:
        """Random operands by the case's seed."""

    def thunk(self, implementation: str, case: Case, operands: Tensors) -> Thunk:
        """A call of one implementation; what is prepared once (packing, compiling) is prepared here.

        Missing or Refused where it cannot be.
        """
        if implementation == "siliform":
            return self.ours(case, operands)
        made: Callable[[Case, Tensors], Thunk] | None = self.baselines().get(implementation)
        if made is None:
            raise ValueError(f"{self.name} has no baseline {implementation!r}")
        return made(case, operands)

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """A call of the case's kernel; Missing in a family that has none (ceilings, whole networks)."""
        raise Missing(f"{self.name} has no kernel of its own")

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """By name, what makes a call of it."""
        return {}

    @abstractmethod
    def exact(self, case: Case, operands: Tensors) -> Examined | None:
        """What is right, in float64 of these operands; None where nothing says."""

    def bound(self, case: Case) -> float:
        """The greatest relative error by norm of our kernel."""
        return BOUNDS[result_format(case)]

    def bound_of(self, case: Case, implementation: str) -> float:
        """The same of any implementation: a library may round more than our kernel, and not less."""
        bound = self.bound(case)
        return bound if implementation == "siliform" else max(bound, LIBRARY_BOUND)

    @abstractmethod
    def work(self, case: Case) -> Work | None:
        """What rates are told of; None where it is known behind the run only."""

    def op_form(self, case: Case, operands: Tensors) -> OpForm | None:
        """The case as an op of the catalogue; None where no op is what is run."""
        return None


def says_it_cannot(error: RuntimeError) -> bool:
    """Whether a library's error says that it has no kernel for what it was given."""
    text = str(error).lower()
    return isinstance(error, NotImplementedError) or any(words in text for words in CANNOT)


def kernel_of(case: Case) -> Callable[..., Any]:
    """The case's kernel. Missing where its file or its function is not there."""
    assert case.kernel is not None
    return kernel_named(case.kernel)


def kernel_named(name: str) -> Callable[..., Any]:
    """``file.function`` below `siliform.kernels.gpu`; Missing where there is none."""
    file, _, function = name.partition(".")
    try:
        found = importlib.import_module(f"siliform.kernels.gpu.{file}")
    except ModuleNotFoundError as error:
        if error.name != f"siliform.kernels.gpu.{file}":
            raise
        raise Missing(f"there is no kernels/gpu/{file}.py") from error
    if not hasattr(found, function):
        raise Missing(f"kernels/gpu/{file}.py has no function {function}")
    made: Callable[..., Any] = getattr(found, function)
    return made


def typed(operands: Tensors) -> tuple[str, ...]:
    """Types of the operands as a graph's text has them."""
    return tuple(f"{FORMAT_OF[x.dtype]}[{','.join(map(str, x.shape))}]" for x in operands.values())


def result_format(case: Case) -> str:
    """The format of the result: `formats.result`, else that of the operands."""
    return case.formats.get("result", case.formats.get("operands", ""))


def dtype_of(case: Case, role: str = "operands") -> torch.dtype:
    """The torch dtype of one of the case's formats."""
    return DTYPE_OF[case.formats[role]]


def generator(case: Case, device: torch.device) -> torch.Generator:
    """The case's own random numbers on a device."""
    made = torch.Generator(device)
    made.manual_seed(case.seed)
    return made


def normal(
    shape: tuple[int, ...], dtype: torch.dtype, random: torch.Generator, scale: float = 1.0
) -> torch.Tensor:
    """Normal numbers of a standard deviation, rounded to a dtype."""
    if dtype in (torch.bfloat16, torch.float16, torch.float32):
        made = torch.empty(shape, dtype=dtype, device=random.device)
        return made.normal_(0, scale, generator=random)
    made = torch.empty(shape, dtype=torch.float32, device=random.device)
    return made.normal_(0, scale, generator=random).to(dtype)


def integers(
    low: int, end: int, shape: tuple[int, ...], dtype: torch.dtype, random: torch.Generator
) -> torch.Tensor:
    """Integers of ``[low, end)``, each as likely."""
    return torch.randint(low, end, shape, dtype=dtype, device=random.device, generator=random)


def signs(shape: tuple[int, ...], random: torch.Generator) -> torch.Tensor:
    """1 and -1 as int8."""
    return integers(0, 2, shape, torch.int8, random) * 2 - 1


def some(extent: int, wanted: int, device: torch.device) -> torch.Tensor:
    """At most so many indices of an axis, evenly spread, the first and the last among them."""
    points = torch.linspace(0, extent - 1, min(extent, wanted), device=device, dtype=torch.float64)
    return points.round().long().unique()


def copied(x: torch.Tensor) -> torch.Tensor:
    """A copy that lies as x does, an expanded axis too: another layout would be another measurement."""
    once = tuple(slice(0, 1) if step == 0 else slice(None) for step in x.stride())
    return x[once].clone(memory_format=torch.preserve_format).expand(x.shape)


def relative_error(made: torch.Tensor, exact: torch.Tensor) -> float:
    """Norm of the difference over that of what is exact; infinite for another shape or where one is NaN."""
    if made.shape != exact.shape:
        return float("inf")
    off = torch.linalg.vector_norm(made.to(torch.float64) - exact)
    norm = torch.linalg.vector_norm(exact)
    error = float(off / norm) if float(norm) else float(off)
    return error if error == error else float("inf")

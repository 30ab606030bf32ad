"""dft and dct along one axis, counted as fast transforms in O(N log N).

Work of a complex row of N: ceil(N / 2) butterflies in each of ceil(log2 N) stages, a butterfly being one
complex product and two complex sums (4 mul, 6 add). Source: Cooley and Tukey, 1965, for N a power of
two; other lengths are counted alike. Two real rows share one complex transform and are separated
after it, or two half spectra of real rows joined before it, by two additions per number.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import add, sub
from siliform.graph_ir.ops.common import axis_of, float_of, narrow, wide
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.ops.views import permute
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType, tensor

#: Longest row whose transform is expanded into a product with a matrix of N x N. An assumption: beyond
#: this the matrix no longer fits a scratchpad of megabytes, and a transform unit is needed.
_LONGEST_MATRIX = 2048

#: What each norm multiplies a row of n by, forward and inverse. Source: numpy.fft.
_NORMS = ("backward", "ortho", "forward")


def _factor(n: int, inverse: bool, norm: str) -> float:
    if norm == "ortho":
        return 1 / sqrt(n)
    return 1 / n if inverse == (norm == "backward") else 1.0


def _fast(rows: int, n: int, *, real: bool, apart: int | None = None) -> list[Space]:
    """The spaces of `rows` transforms of n numbers each; of real rows, `apart` numbers are told apart."""
    half, stages = -(-n // 2), max(n - 1, 0).bit_length()
    complex_rows = -(-rows // 2) if real else rows
    operands = ", ".join(["r h"] * 4)
    made = [
        Space.over(f"{operands} -> {operands}", {"mul": 4, "add": 6}, r=complex_rows, h=half, stage=stages)
    ]
    if real:
        made.append(Space.over("r n, r n -> r n, r n", {"add": 2}, r=rows, n=apart or n))
    return made


def _dft(
    real: np.ndarray,
    imaginary: np.ndarray | None = None,
    *,
    axis: int = -1,
    inverse: bool = False,
    norm: str = "backward",
    real_length: int | None = None,
) -> tuple[np.ndarray, ...]:
    """sum over n of x[n] exp(-2 pi i k n / N), as real and imaginary parts of the shape of x.

    With `real_length` = N the signal is real and its spectrum, which mirrors itself, given by its first
    N // 2 + 1 numbers: the results of the transform, or the operands of the inverse, whose result is one
    real array.
    """
    known = wide(real) if imaginary is None else wide(real) + 1j * wide(imaginary)
    if real_length is not None and inverse:
        signal = np.fft.irfft(known, n=real_length, axis=axis, norm=norm)  # type: ignore[arg-type]
        return (narrow(signal, real),)
    forward = np.fft.fft if real_length is None else np.fft.rfft
    made = (np.fft.ifft if inverse else forward)(known, axis=axis, norm=norm)  # type: ignore[arg-type]
    return narrow(made.real, real), narrow(made.imag, real)


def _dft_shape(
    real: TensorType,
    imaginary: TensorType | None = None,
    *,
    axis: int = -1,
    inverse: bool = False,
    norm: str = "backward",
    real_length: int | None = None,
) -> tuple[TensorType, ...]:
    if norm not in _NORMS:
        raise ValueError(f"a transform with norm {norm!r}; the norms are {', '.join(_NORMS)}")
    if imaginary is not None and imaginary.shape != real.shape:
        raise ValueError(f"real part of shape {real.shape}, imaginary part of {imaginary.shape}")
    place = axis_of(axis, real.rank)
    if not real.shape[place]:
        raise ValueError(f"a transform of 0 elements along axis {axis} of {real.shape}")
    made = real.with_format(float_of(real.format))
    if real_length is None:
        return made, made
    if (imaginary is None) == inverse:
        given = "without an" if inverse else "with an"
        raise ValueError(f"a real signal of {real_length} numbers, {given} imaginary part of the operand")
    half = real_length // 2 + 1
    if real.shape[place] != (half if inverse else real_length):
        raise ValueError(
            f"{real.shape[place]} numbers along axis {axis} for a real signal of {real_length}, "
            f"whose half spectrum has {half}"
        )
    size = real_length if inverse else half
    made = made.with_shape(*real.shape[:place], size, *real.shape[place + 1 :])
    return (made,) if inverse else (made, made)


def _dft_spaces(
    real: TensorType,
    imaginary: TensorType | None = None,
    *,
    axis: int = -1,
    inverse: bool = False,
    norm: str = "backward",
    real_length: int | None = None,
) -> list[Space]:
    given = real.shape[axis_of(axis, real.rank)]
    rows, n = real.elements // given, real_length or given
    if real_length is None:
        made = _fast(rows, n, real=imaginary is None)
    else:
        made = _fast(rows, n, real=True, apart=n // 2 + 1)
    if _factor(n, inverse, norm) == 1:
        return made
    if real_length is not None and inverse:
        return [*made, Space.over("r n -> r n", {"mul": 1}, r=rows, n=n)]
    scaled = n if real_length is None else n // 2 + 1
    return [*made, Space.over("r n, r n -> r n, r n", {"mul": 2}, r=rows, n=scaled)]


def _matrix(b: Builder, name: str, values: np.ndarray) -> Value:
    return b.constant(name, tensor("fp32", *values.shape), values.astype(np.float32))


def _check_expandable(n: int) -> None:
    if n > _LONGEST_MATRIX:
        raise ValueError(
            f"a transform of {n} numbers as a product; at most {_LONGEST_MATRIX}, use a transform unit"
        )


def _to_last(x: Value, axis: int) -> tuple[int, ...]:
    """The order of axes that swaps `axis` with the last one: its own inverse."""
    order = list(range(x.type.rank))
    place = axis_of(axis, x.type.rank)
    order[place], order[-1] = order[-1], order[place]
    return tuple(order)


def _dft_expansion(
    b: Builder,
    real: Value,
    imaginary: Value | None = None,
    *,
    axis: int = -1,
    inverse: bool = False,
    norm: str = "backward",
    real_length: int | None = None,
) -> Any:
    order = _to_last(real, axis)
    n = real_length or real.type.shape[order[-1]]
    _check_expandable(n)
    cosines, sines = _dft_matrices(n, inverse, _factor(n, inverse, norm), half=real_length is not None)
    cosine, sine = _matrix(b, "dft_cos", cosines), _matrix(b, "dft_sin", sines)

    def product(x: Value, matrix: Value) -> Value:
        made: Value = b(permute, b(matmul, b(permute, x, axes=order), matrix), axes=order)
        return made

    if imaginary is None:
        return product(real, cosine), product(real, sine)
    made_real = b(sub, product(real, cosine), product(imaginary, sine))
    if real_length is not None:
        return made_real
    return made_real, b(add, product(real, sine), product(imaginary, cosine))


def _dft_matrices(n: int, inverse: bool, factor: float, *, half: bool) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of the transform as a matrix [from, to]; `half` of its spectrum alone."""
    angle = 2 * pi / n * (np.outer(np.arange(n), np.arange(n)) % n)
    cosine, sine = factor * np.cos(angle), factor * np.sin(angle) * (1 if inverse else -1)
    if not half:
        return cosine, sine
    kept = n // 2 + 1
    if not inverse:
        return cosine[:, :kept], sine[:, :kept]
    # Each number stands for its mirror image too, but the first, and of an even length the last.
    twice = np.where((2 * np.arange(kept)) % n == 0, 1, 2)[:, None]
    return twice * cosine[:kept], twice * sine[:kept]


dft = OpSpec(
    "dft",
    "transform",
    _dft,
    _dft_shape,
    _dft_spaces,
    _dft_expansion,
    source="numpy.fft.fft, ifft, rfft and irfft",
)


def dct_matrix(n: int) -> np.ndarray:
    """The orthonormal type-II cosine transform as a matrix [frequency, position]."""
    position, frequency = np.arange(n), np.arange(n)[:, None]
    made = sqrt(2 / n) * np.cos(pi / n * (position + 0.5) * frequency)
    made[0] /= sqrt(2)
    return np.asarray(made)


def _dct(x: np.ndarray, *, axis: int = -1, inverse: bool = False) -> np.ndarray:
    """The orthonormal type-II cosine transform, or its inverse, by a real Fourier transform.

    Source: Makhoul, "A fast cosine transform in one and two dimensions", 1980.
    """
    known = np.moveaxis(wide(x), axis, -1)
    n = known.shape[-1]
    twiddle = np.exp(-0.5j * pi * np.arange(n) / n)
    weight = np.full(n, sqrt(2 / n))
    weight[0] = sqrt(1 / n)
    if inverse:
        spectrum = known / weight
        mirrored = np.concatenate([np.zeros_like(spectrum[..., :1]), spectrum[..., :0:-1]], axis=-1)
        shuffled = np.fft.ifft((spectrum - 1j * mirrored) * twiddle.conj(), axis=-1).real
        made = np.empty_like(known)
        made[..., ::2], made[..., 1::2] = (
            shuffled[..., : (n + 1) // 2],
            shuffled[..., (n + 1) // 2 :][..., ::-1],
        )
    else:
        shuffled = np.concatenate([known[..., ::2], known[..., 1::2][..., ::-1]], axis=-1)
        made = (np.fft.fft(shuffled, axis=-1) * twiddle).real * weight
    return narrow(np.moveaxis(made, -1, axis), x)


def _dct_shape(x: TensorType, *, axis: int = -1, inverse: bool = False) -> TensorType:
    if not x.shape[axis_of(axis, x.rank)]:
        raise ValueError(f"a transform of 0 elements along axis {axis} of {x.shape}")
    return x.with_format(float_of(x.format))


def _dct_spaces(x: TensorType, *, axis: int = -1, inverse: bool = False) -> list[Space]:
    n = x.shape[axis_of(axis, x.rank)]
    rows = x.elements // n
    # Each result is a twiddle factor times one complex number, of which the real part is kept; the
    # weights of the orthonormal form are folded into the twiddles.
    return [*_fast(rows, n, real=True), Space.over("r n, r n -> r n", {"mul": 2, "add": 1}, r=rows, n=n)]


def _dct_expansion(b: Builder, x: Value, *, axis: int = -1, inverse: bool = False) -> Any:
    order = _to_last(x, axis)
    n = x.type.shape[order[-1]]
    _check_expandable(n)
    matrix = dct_matrix(n)
    constant = _matrix(b, "dct", matrix if inverse else matrix.T)
    return b(permute, b(matmul, b(permute, x, axes=order), constant), axes=order)


dct = OpSpec(
    "dct", "transform", _dct, _dct_shape, _dct_spaces, _dct_expansion, source="scipy.fft.dct, norm='ortho'"
)

"""Complex tensors, held as two real ones, and Fourier transforms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from siliform.models.tracing.lowerer import Complex, Lowerer, Rule
from siliform.models.tracing.lowering.movement import concat, cut, reshape, select


def _pair(c: Lowerer, x: Any) -> Complex:
    if isinstance(x, Complex):
        return x
    return Complex(x, c.apply("mul", x, 0.0))


def _real(c: Lowerer, x: Any) -> Any:
    return _pair(c, x).real


def _imaginary(c: Lowerer, x: Any) -> Any:
    return _pair(c, x).imaginary


def _view_as_complex(c: Lowerer, x: Any) -> Complex:
    return Complex(select(c, x, -1, 0), select(c, x, -1, 1))


def _view_as_real(c: Lowerer, x: Any) -> Any:
    pair = _pair(c, x)
    parts = [reshape(c, p, (*c.shape(p), 1)) for p in (pair.real, pair.imaginary)]
    return concat(c, parts, len(c.shape(pair.real)))


def _complex(c: Lowerer, real: Any, imaginary: Any) -> Complex:
    return Complex(real, imaginary)


def _polar(c: Lowerer, length: Any, angle: Any) -> Complex:
    return Complex(
        c.apply("mul", length, c.apply("cos", angle)), c.apply("mul", length, c.apply("sin", angle))
    )


def _conjugate(c: Lowerer, x: Any) -> Any:
    return Complex(x.real, c.apply("neg", x.imaginary)) if isinstance(x, Complex) else x


def _angle(c: Lowerer, x: Any) -> Any:
    pair = _pair(c, x)
    return c.apply("atan2", pair.imaginary, pair.real)


def _resized(c: Lowerer, x: Any, axis: int, n: int | None) -> Any:
    """`x` cut or filled with zeros to `n` along `axis`."""
    extent = c.shape(x)[axis]
    if n is None or n == extent:
        return x
    if isinstance(x, Complex):
        return Complex(_resized(c, x.real, axis, n), _resized(c, x.imaginary, axis, n))
    if n < extent:
        return cut(c, x, axis, 0, n)
    after = tuple(n - extent if i == axis else 0 for i in range(len(c.shape(x))))
    return c.apply("pad", x, before=(0,) * len(after), after=after, mode="constant", value=0.0)


def _transform(c: Lowerer, x: Any, axis: int, inverse: bool, norm: str | None) -> Complex:
    real, imaginary = (x.real, x.imaginary) if isinstance(x, Complex) else (x, None)
    made = c.apply("dft", real, imaginary, axis=axis, inverse=inverse, norm=norm or "backward")
    return Complex(*made)


def _fft(inverse: bool) -> Rule:
    def rule(c: Lowerer, x: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
        axis = dim % len(c.shape(x))
        return _transform(c, _resized(c, x, axis, n), axis, inverse, norm)

    return rule


def _fftn(inverse: bool, last: int = 0) -> Rule:
    def rule(c: Lowerer, x: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
        for axis, n in _axes_and_sizes(c, x, s, dim, last):
            x = _transform(c, _resized(c, x, axis, n), axis, inverse, norm)
        return x

    return rule


def _axes_and_sizes(c: Lowerer, x: Any, s: Any, dim: Any, last: int) -> list[tuple[int, int | None]]:
    """The transformed axes, in order; all of them (or the `last` ones) unless told."""
    rank = len(c.shape(x))
    if dim is None:
        count = len(s) if s is not None else last or rank
        dim = range(rank - count, rank)
    axes = [d % rank for d in dim]
    return list(zip(axes, s if s is not None else [None] * len(axes), strict=True))


def _rfft(c: Lowerer, x: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Complex:
    """The first half of the transform of a real signal; the other half mirrors it."""
    axis = dim % len(c.shape(x))
    x = _resized(c, x, axis, n)
    return Complex(*c.apply("dft", x, axis=axis, norm=norm or "backward", real_length=c.shape(x)[axis]))


def _rfftn(last: int) -> Rule:
    def rule(c: Lowerer, x: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
        *others, (axis, n) = _axes_and_sizes(c, x, s, dim, last)
        made: Any = _rfft(c, x, n, axis, norm)
        for other, size in others:
            made = _transform(c, _resized(c, made, other, size), other, False, norm)
        return made

    return rule


def _irfft(c: Lowerer, x: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """A real signal from the first half of its transform."""
    axis = dim % len(c.shape(x))
    pair = _pair(c, x)
    n = 2 * (c.shape(pair.real)[axis] - 1) if n is None else n
    pair = _resized(c, pair, axis, n // 2 + 1)
    form = {"axis": axis, "inverse": True, "norm": norm or "backward", "real_length": n}
    return c.apply("dft", pair.real, pair.imaginary, **form)


def _irfftn(last: int) -> Rule:
    def rule(c: Lowerer, x: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
        *others, (axis, n) = _axes_and_sizes(c, x, s, dim, last)
        for other, size in others:
            x = _transform(c, _resized(c, x, other, size), other, True, norm)
        return _irfft(c, x, n, axis, norm)

    return rule


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "aten.real": _real,
        "aten.imag": _imaginary,
        "aten.view_as_complex": _view_as_complex,
        "aten.view_as_real": _view_as_real,
        "aten.complex": _complex,
        "aten.polar": _polar,
        "aten.conj": _conjugate,
        "aten._conj": _conjugate,
        "aten.conj_physical": _conjugate,
        "aten.resolve_conj": lambda c, x: x,
        "aten.resolve_neg": lambda c, x: x,
        "aten.angle": _angle,
        "aten.fft_fft": _fft(False),
        "aten.fft_ifft": _fft(True),
        "aten.fft_fft2": _fftn(False, 2),
        "aten.fft_ifft2": _fftn(True, 2),
        "aten.fft_fftn": _fftn(False),
        "aten.fft_ifftn": _fftn(True),
        "aten.fft_rfft": _rfft,
        "aten.fft_rfft2": _rfftn(2),
        "aten.fft_rfftn": _rfftn(0),
        "aten.fft_irfft": _irfft,
        "aten.fft_irfft2": _irfftn(2),
        "aten.fft_irfftn": _irfftn(0),
    }
)

"""Sample cases of ops along axes: softmax, norms, reductions, scans, transforms, selection, pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tests.conformance.op_data import booleans, floats, from_torch, integers, positive
from tests.conformance.op_suite import Case


def _softmax() -> dict[str, list[Case]]:
    def work(rows: int, n: int) -> dict[str, int]:
        every = rows * n
        return {"compare": every, "add": 2 * every, "exp": every, "mul": every, "reciprocal": rows}

    def logarithmic(rows: int, n: int) -> dict[str, int]:
        every = rows * n
        return {"compare": every, "add": 3 * every + rows, "exp": every, "log": rows}

    return {
        "softmax": [
            Case((floats(3, 5, 7) * 9,), {}, work(15, 7), from_torch(lambda x: F.softmax(x, -1))),
            Case((floats(3, 5, 7),), {"axis": 1}, work(21, 5), from_torch(lambda x: F.softmax(x, 1))),
        ],
        "clipped_softmax": [
            Case(
                (floats(3, 5, 7) * 4,),
                {"gamma": -0.03, "zeta": 1.01},
                {"compare": 315, "add": 315, "exp": 105, "mul": 210, "reciprocal": 15},
                from_torch(lambda x: (1.04 * F.softmax(x, -1) - 0.03).clamp(0, 1)),
            ),
            Case(
                (floats(3, 5),),
                {"gamma": -0.2, "zeta": 1.0, "axis": 0},
                None,
                from_torch(lambda x: (1.2 * F.softmax(x, 0) - 0.2).clamp(0, 1)),
            ),
        ],
        "log_softmax": [
            Case((floats(3, 5, 7),), {}, logarithmic(15, 7), from_torch(lambda x: F.log_softmax(x, -1))),
            Case((floats(3, 5),), {"axis": 0}, logarithmic(5, 3), from_torch(lambda x: F.log_softmax(x, 0))),
        ],
    }


def centred_work(rows: int, n: int, *, affine: int) -> dict[str, int]:
    """A norm with mean: `affine` is 0, 1 (weight) or 2 (weight and bias) operands per element."""
    every = rows * n
    work = {"add": 3 * every + rows, "mul": 2 * every + 2 * rows, "rsqrt": rows}
    work["mul"] += every if affine else 0
    work["add"] += every if affine == 2 else 0
    return work


def _norms() -> dict[str, list[Case]]:
    layer = from_torch(lambda x, w=None, b=None: F.layer_norm(x, x.shape[-1:], w, b))
    two = from_torch(lambda x, w=None, b=None: F.layer_norm(x, x.shape[-2:], w, b, 1e-3))
    rms = from_torch(lambda x, w=None: F.rms_norm(x, x.shape[-1:], w, 1e-6))
    group = from_torch(lambda x, w=None, b=None: F.group_norm(x, 3, w, b))
    instance = from_torch(lambda x, w=None, b=None: F.instance_norm(x, None, None, w, b))
    image = floats(2, 6, 5, 3)
    batch = from_torch(lambda x, m, v, w=None, b=None: F.batch_norm(x, m, v, w, b))
    c = (floats(6, seed=1), positive(6, seed=2), floats(6, seed=3), floats(6, seed=4))
    rms_work = {"mul": 3 * 105 + 15, "add": 105 + 15, "rsqrt": 15}
    return {
        "layer_norm": [
            Case((floats(3, 5, 7), floats(7), floats(7, seed=1)), {}, centred_work(15, 7, affine=2), layer),
            Case((floats(3, 5, 7), floats(7)), {}, centred_work(15, 7, affine=1), layer),
            Case((floats(3, 5, 7),), {"dims": 2, "eps": 1e-3}, centred_work(3, 35, affine=0), two),
        ],
        "rms_norm": [
            Case((floats(3, 5, 7), floats(7)), {"eps": 1e-6}, rms_work, rms),
            Case((floats(3, 5, 7),), {"eps": 1e-6}, rms_work | {"mul": 2 * 105 + 15}, rms),
        ],
        "group_norm": [
            Case((image, c[0], c[2]), {"groups": 3}, centred_work(6, 30, affine=2), group),
            Case((image,), {"groups": 3}, centred_work(6, 30, affine=0), group),
        ],
        "instance_norm": [
            Case((image, c[0], c[2]), {}, centred_work(12, 15, affine=2), instance),
            Case((floats(2, 6, 5),), {}, centred_work(12, 5, affine=0), instance),
        ],
        "batch_norm": [
            Case((image, *c), {}, {"add": 180 + 12, "mul": 180 + 12, "rsqrt": 6}, batch),
            Case((floats(5, 6), *c[:2]), {}, {"add": 30 + 6, "mul": 30 + 6, "rsqrt": 6}, batch),
        ],
    }


def _reduction(
    function: Callable[..., Any], work: dict[str, int], x: np.ndarray, rows: dict[str, int] | None = None
) -> list[Case]:
    """Cases over one axis, two axes and all of them; `work` per element of [3, 5, 7], `rows` per result."""
    found = []
    for axes, results in (((1,), 21), ((0, -1), 5), (None, 1)):
        counted = {name: each * x.size for name, each in work.items()}
        for name, each in (rows or {}).items():
            counted[name] = counted.get(name, 0) + each * results
        dim = tuple(range(3)) if axes is None else axes
        oracle = from_torch(lambda t, d=dim: function(t, d, False))
        found.append(Case((x,), {"axes": axes}, counted, oracle))
    kept = from_torch(lambda t: function(t, (1,), True))
    return [*found, Case((x,), {"axes": (1,), "keepdims": True}, None, kept)]


def _prod(x: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    for axis in sorted((d % x.ndim for d in dim), reverse=True):
        x = x.prod(axis, keepdim)
    return x


def _reductions() -> dict[str, list[Case]]:
    x, n, flags = floats(3, 5, 7), integers(3, 5, 7), booleans(3, 5, 7)
    argmax = from_torch(lambda t: torch.argmax(t, 1))
    whole = from_torch(torch.argmax)
    variance = {"axes": (-1,), "correction": 0}
    return {
        "reduce_sum": [
            *_reduction(torch.sum, {"add": 1}, x),
            Case((n,), {"axes": (1,)}, {"add": 105}, from_torch(lambda t: t.sum(1))),
            Case((flags,), {"axes": (1,)}, {"add": 105}, from_torch(lambda t: t.sum(1))),
        ],
        "reduce_mean": _reduction(torch.mean, {"add": 1}, x, {"mul": 1}),
        "reduce_max": [
            *_reduction(torch.amax, {"compare": 1}, x),
            *_reduction(torch.amax, {"compare": 1}, n),
        ],
        "reduce_min": _reduction(torch.amin, {"compare": 1}, x),
        "reduce_prod": _reduction(_prod, {"mul": 1}, x),
        "reduce_any": _reduction(torch.any, {"logic": 1}, flags),
        "reduce_all": _reduction(torch.all, {"logic": 1}, x > -2),
        "reduce_var": [
            *_reduction(lambda t, d, k: torch.var(t, d, keepdim=k), {"add": 3, "mul": 1}, x, {"mul": 2}),
            Case((x,), variance, None, from_torch(lambda t: t.var(-1, correction=0))),
        ],
        "norm": [
            *_reduction(
                lambda t, d, k: torch.linalg.vector_norm(t, 2, d, k), {"mul": 1, "add": 1}, x, {"rsqrt": 1}
            ),
            Case((x,), {"order": 1.0}, {"compare": 105, "add": 105}, from_torch(lambda t: t.abs().sum())),
            Case((x,), {"order": float("inf")}, {"compare": 210}, from_torch(lambda t: t.abs().max())),
        ],
        "logsumexp": _reduction(torch.logsumexp, {"compare": 1, "add": 2, "exp": 1}, x, {"log": 1, "add": 1}),
        "argmax": [
            Case((x,), {"axis": 1}, {"compare": 105}, argmax),
            Case(
                (integers(3, 5, 7, low=0, high=2),),
                {"axis": 1},
                None,
                lambda t: np.argmax(t == t.max(1, keepdims=True), 1),
            ),
            Case((x,), {}, {"compare": 105}, whole),
            Case((x,), {"axis": -1, "keepdims": True}, None, from_torch(lambda t: torch.argmax(t, -1, True))),
        ],
        "argmin": [Case((x,), {"axis": 0}, {"compare": 105}, from_torch(lambda t: torch.argmin(t, 0)))],
    }


def _recurrence_by_hand(a: np.ndarray, b: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    """h[t] = a[t] h[t-1] + b[t] along axis 1, as sums of products."""
    made = np.zeros(b.shape, dtype=np.float64)
    for t in range(b.shape[1]):
        for s in range(t + 1):
            made[:, t] += np.prod(a[:, s + 1 : t + 1], axis=1, dtype=np.float64) * b[:, s]
        if initial is not None:
            made[:, t] += np.prod(a[:, : t + 1], axis=1, dtype=np.float64) * initial
    return made.astype(np.float32)


def _matrices_by_hand(a: np.ndarray, b: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    """h[t] = a[t] h[t-1] + b[t] along the axis -3, as sums of products of matrices."""
    made = np.zeros(b.shape, dtype=np.float64)
    for lead in np.ndindex(*b.shape[:-3]):
        for t in range(b.shape[-3]):
            passed = np.eye(b.shape[-2])
            for s in range(t, -1, -1):
                made[lead][t] += passed @ b[lead][s]
                passed = passed @ a[lead][s]
            if initial is not None:
                made[lead][t] += passed @ initial[lead]
    return made.astype(np.float32)


def _mamba_by_hand(
    u: np.ndarray,
    delta: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray | None = None,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """One number at a time."""
    made = np.zeros(u.shape)
    for n, w in np.ndindex(*u.shape[:2]):
        for s in range(a.shape[1]):
            state = 0.0 if initial is None else float(initial[n, w, s])
            for t in range(u.shape[2]):
                state = np.exp(delta[n, w, t] * a[w, s]) * state + delta[n, w, t] * b[n, s, t] * u[n, w, t]
                made[n, w, t] += c[n, s, t] * state
        made[n, w] += 0 if d is None else d[w] * u[n, w]
    return made.astype(np.float32)


def _scans() -> dict[str, list[Case]]:
    x, decay = floats(3, 5, 7), positive(3, 5, 7) / 2
    mamba = (floats(2, 3, 7), positive(2, 3, 7), -positive(3, 4), floats(2, 4, 7), floats(2, 4, 7, seed=1))
    every, points = 2 * 3 * 7, 2 * 3 * 7 * 4
    scan = {"mul": every + 4 * points, "exp": points, "add": 2 * points}
    return {
        "cumsum": [
            Case((x,), {"axis": 1}, {"add": 105}, from_torch(lambda t: t.cumsum(1))),
            Case((integers(3, 5),), {"axis": -1}, {"add": 15}, from_torch(lambda t: t.cumsum(-1))),
        ],
        "cumprod": [Case((x,), {"axis": 2}, {"mul": 105}, from_torch(lambda t: t.cumprod(2)))],
        "linear_recurrence": [
            Case((decay, x), {"axis": 1}, {"mul": 105, "add": 105}, _recurrence_by_hand),
            Case((decay, x, floats(3, 7)), {"axis": 1}, {"mul": 105, "add": 105}, _recurrence_by_hand),
        ],
        "matrix_recurrence": [
            Case(
                (floats(2, 5, 3, 3), floats(2, 5, 3, 4)),
                {},
                {"mac": 2 * 4 * 3 * 3 * 4},  # the first state is its drive
                _matrices_by_hand,
            ),
            Case(
                (floats(5, 3, 3), floats(5, 3, 4), floats(3, 4)),
                {},
                {"mac": 5 * 3 * 3 * 4},
                _matrices_by_hand,
            ),
            Case((floats(1, 3, 3), floats(1, 3, 4)), {}, {}, _matrices_by_hand),
        ],
        "selective_scan": [
            Case(mamba, {}, scan, _mamba_by_hand),
            Case(
                (*mamba, floats(3), floats(2, 3, 4)),
                {},
                scan | {"mul": scan["mul"] + every, "add": scan["add"] + every},
                _mamba_by_hand,
            ),
        ],
    }


def _fourier(inverse: bool, norm: str, axis: int) -> Callable[..., Any]:
    function = torch.fft.ifft if inverse else torch.fft.fft

    def oracle(real: Any, imaginary: Any = None) -> Any:
        x = real.double() if imaginary is None else torch.complex(real.double(), imaginary.double())
        made = function(x, dim=axis, norm=norm)
        return made.real.float(), made.imag.float()

    return from_torch(oracle)


def _real_transforms() -> list[Case]:
    """Rows of 8 and of 7 real numbers, two to a complex transform, and half spectra of 5 and of 4."""
    made = []
    for n, half in ((8, 5), (7, 4)):
        fast, apart = 2 * 12, 3 * half * 2  # butterflies of three rows; what tells them apart
        imaginary = floats(3, half, seed=1)
        made += [
            Case(
                (floats(3, n),),
                {"real_length": n},
                {"mul": 4 * fast, "add": 6 * fast + apart},
                from_torch(lambda x: torch.view_as_real(torch.fft.rfft(x)).unbind(-1)),
            ),
            Case(
                (floats(3, half), imaginary),
                {"inverse": True, "real_length": n},
                {"mul": 4 * fast + 3 * n, "add": 6 * fast + apart},
                from_torch(lambda real, imag, n=n: torch.fft.irfft(torch.complex(real, imag), n=n)),
            ),
        ]
    turned = {"axis": 0, "inverse": True, "norm": "ortho", "real_length": 4}
    along = from_torch(lambda real, imag: torch.fft.irfft(torch.complex(real, imag), 4, 0, "ortho"))
    return [*made, Case((floats(3, 5), floats(3, 5, seed=1)), turned, None, along)]


def _cosine_by_hand(x: np.ndarray) -> np.ndarray:
    """The type-II cosine transform of the last axis by its definition."""
    n = x.shape[-1]
    found = []
    for k in range(n):
        weight = np.sqrt((1 if k == 0 else 2) / n)
        found.append(weight * np.sum(x * np.cos(np.pi * k * (2 * np.arange(n) + 1) / (2 * n)), axis=-1))
    return np.stack(found, axis=-1).astype(np.float32)


def _transforms() -> dict[str, list[Case]]:
    # A complex row of 8: 4 butterflies in 3 stages; of 7, likewise. Real rows go two by two.
    butterfly = {"mul": 4 * 12, "add": 6 * 12}
    pairs = {"mul": butterfly["mul"] * 8, "add": butterfly["add"] * 8 + 15 * 7 * 2}
    spectrum = _cosine_by_hand(floats(3, 7))
    return {
        "dft": [
            Case(
                (floats(3, 8), floats(3, 8, seed=1)),
                {},
                {name: 3 * each for name, each in butterfly.items()},
                _fourier(False, "backward", -1),
            ),
            Case((floats(3, 5, 7),), {}, pairs, _fourier(False, "backward", -1)),
            Case((floats(3, 5, 7),), {"axis": 1, "norm": "ortho"}, None, _fourier(False, "ortho", 1)),
            Case(
                (floats(7, 3), floats(7, 3, seed=1)),
                {"axis": 0, "inverse": True},
                {name: 3 * each + (21 * 2 if name == "mul" else 0) for name, each in butterfly.items()},
                _fourier(True, "backward", 0),
            ),
            *_real_transforms(),
        ],
        "dct": [
            Case(
                (floats(3, 5, 7),),
                {},
                {"mul": pairs["mul"] + 210, "add": pairs["add"] + 105},
                _cosine_by_hand,
            ),
            Case((floats(3, 1),), {}, None, _cosine_by_hand),
            Case(
                (floats(3, 8),),
                {"axis": 0},
                None,
                lambda x: np.moveaxis(_cosine_by_hand(np.moveaxis(x, 0, -1)), -1, 0),
            ),
            Case((spectrum,), {"inverse": True}, None, lambda x: floats(3, 7)),
        ],
    }


def _selection() -> dict[str, list[Case]]:
    tied = integers(3, 11, low=0, high=4)

    def first_of_ties(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        order = np.array([sorted(range(x.shape[1]), key=lambda i: (-row[i], i))[:5] for row in x])
        return np.take_along_axis(x, order, 1), order

    stable = from_torch(lambda x: torch.sort(x, dim=-1, descending=True, stable=True))
    return {
        "top_k": [
            Case((floats(3, 11),), {"k": 5}, {"compare": 33 * 3}, from_torch(lambda x: torch.topk(x, 5))),
            Case((tied,), {"k": 5}, {"compare": 33 * 3}, first_of_ties),
            Case(
                (floats(3, 11),),
                {"k": 2, "axis": 0, "largest": False},
                {"compare": 33 * 2},
                from_torch(lambda x: torch.topk(x, 2, 0, False)),
            ),
        ],
        "sort": [
            Case((floats(3, 11),), {}, {"compare": 33 * 4}, from_torch(lambda x: torch.sort(x, stable=True))),
            Case((tied,), {"descending": True}, None, stable),
        ],
        "argsort": [
            Case(
                (tied,),
                {"axis": 0},
                {"compare": 33 * 2},
                from_torch(lambda x: torch.argsort(x, dim=0, stable=True)),
            )
        ],
    }


def _pooling() -> dict[str, list[Case]]:
    image = floats(2, 3, 9, 7)
    odd = {"kernel": (3, 2), "stride": 2, "padding": (1, 0), "ceil_mode": True}
    maximum = from_torch(lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0), ceil_mode=True))
    mean = from_torch(lambda x: F.avg_pool2d(x, (3, 2), 2, (1, 0), ceil_mode=True))
    inner = from_torch(lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))
    dilated = {"kernel": 3, "stride": 1, "dilation": 2}
    adaptive = from_torch(lambda x: F.adaptive_avg_pool2d(x, (4, 3)))
    # Bins of 9 in 4: 3 + 3 + 3 + 3 elements; of 7 in 3: 3 + 3 + 3.
    return {
        "max_pool": [
            Case(
                (image,), {"kernel": 2}, {"compare": 6 * 4 * 3 * 4}, from_torch(lambda x: F.max_pool2d(x, 2))
            ),
            Case((image,), odd, {"compare": 6 * 5 * 4 * 6}, maximum),
            Case((floats(2, 3, 9),), dilated, None, from_torch(lambda x: F.max_pool1d(x, 3, 1, 0, 2))),
        ],
        "avg_pool": [
            Case((image,), odd, {"add": 6 * 5 * 4 * 6, "mul": 120}, mean),
            Case((image,), {"kernel": 3, "stride": 1, "padding": 1, "count_padding": False}, None, inner),
            Case((floats(1, 2, 4, 5, 6),), {"kernel": 2}, None, from_torch(lambda x: F.avg_pool3d(x, 2))),
        ],
        "adaptive_avg_pool": [
            Case((image,), {"size": (4, 3)}, {"add": 6 * 12 * 9, "mul": 72}, adaptive),
            Case(
                (image,),
                {"size": (1, 1)},
                {"add": 6 * 63, "mul": 6},
                from_torch(lambda x: x.mean((2, 3), True)),
            ),
            Case((floats(2, 3, 5),), {"size": (7,)}, None, from_torch(lambda x: F.adaptive_avg_pool1d(x, 7))),
        ],
        "interpolate": _interpolate(),
    }


def _interpolate() -> list[Case]:
    image = floats(2, 3, 5, 4)

    def like(mode: str, size: tuple[int, ...], corners: bool | None = None) -> Callable[..., Any]:
        return from_torch(lambda x: F.interpolate(x, size, mode=mode, align_corners=corners))

    bilinear = {"size": (8, 7), "mode": "bilinear"}
    linear_work = 2 * (6 * 8 * 4) + 2 * (6 * 8 * 7)
    scaled = from_torch(lambda x: F.interpolate(x, scale_factor=(1.7, 1.3), mode="bilinear"))
    return [
        Case((image,), {"size": (8, 3)}, None, like("nearest", (8, 3))),
        Case((image,), bilinear, {"mul": linear_work, "add": linear_work}, like("bilinear", (8, 7))),
        Case((image,), bilinear | {"align_corners": True}, None, like("bilinear", (8, 7), True)),
        Case((image,), {"size": (3, 9), "mode": "bicubic"}, None, like("bicubic", (3, 9))),
        Case((image,), {"size": (8, 5), "mode": "bilinear", "scale": (1.7, 1.3)}, None, scaled),
        Case((floats(2, 3, 5),), {"size": (11,), "mode": "linear"}, None, like("linear", (11,))),
    ]


def _rotary() -> list[Case]:
    angles = np.concatenate([floats(7, 3)] * 2, axis=-1)
    doubled = np.repeat(floats(7, 3), 2, axis=-1)

    def turned(pairs: Callable[[Any], tuple[Any, Any]], angle: np.ndarray) -> Callable[..., Any]:
        """The rotation as a product of complex numbers."""

        def oracle(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
            real, imaginary = pairs(x)
            made = (real + 1j * imaginary) * np.exp(1j * pairs(angle)[0])
            result = np.empty_like(x)
            parts = pairs(result)
            parts[0][...], parts[1][...] = made.real, made.imag
            return result

        return oracle

    x, work = floats(2, 3, 7, 6), {"mul": 2 * 252, "add": 252}
    halves = turned(lambda t: (t[..., :3], t[..., 3:]), angles)
    neighbours = turned(lambda t: (t[..., ::2], t[..., 1::2]), doubled)
    return [
        Case((x, np.cos(angles), np.sin(angles)), {}, work, halves),
        Case((x, np.cos(doubled), np.sin(doubled)), {"interleaved": True}, work, neighbours),
    ]


def cases() -> dict[str, list[Case]]:
    """Cases by op name."""
    return {
        **_softmax(),
        **_norms(),
        **_reductions(),
        **_scans(),
        **_transforms(),
        **_selection(),
        **_pooling(),
        "rotary": _rotary(),
    }

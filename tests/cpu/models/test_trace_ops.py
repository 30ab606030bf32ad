"""Rule by rule: what a torch function gives, its traced graph gives on NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils import _pytree as pytree

from siliform.graph_ir.interpret import interpret
from siliform.models.tracing import trace

A, B, C = torch.randn(3, 5), torch.randn(3, 5), torch.randn(5, 4)
IMAGE, SIGNAL = torch.randn(2, 4, 7, 9), torch.randn(2, 4, 11)
WHOLE = torch.tensor([[3, -1, 2], [0, 5, -4]])
INDEX = torch.tensor([2, 0, 1, 2])
POSITIVE = torch.rand(3, 5) + 0.1
Q, K = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
LSTM = torch.nn.LSTM(4, 6, num_layers=2, bidirectional=True).requires_grad_(False)

CASES = {
    "add alpha": (lambda x, y: torch.add(x, y, alpha=2), A, B),
    "rsub": (lambda x: 1 - x, A),
    "true division of integers": (lambda x: x / 4, WHOLE),
    "floor division": (lambda x: x // 2, WHOLE),
    "div rounding": (lambda x: torch.div(x, 0.3, rounding_mode="trunc"), A),
    "remainder": (lambda x: torch.remainder(x, 3), WHOLE),
    "integers and floats": (lambda x, y: x * y[:2, :3], WHOLE, A),
    "booleans and floats": (lambda x, y: (x > 0) * y, A, B),
    "powers": (lambda x: (x**2, x**3, x**0.5, x**-1, x**2.5, x**1), POSITIVE),
    "power of a number": (lambda x: torch.pow(2.0, x), A),
    "rounding": (lambda x: (x.floor(), x.ceil(), x.round(), x.trunc(), x.round(decimals=1)), A),
    "clamps": (lambda x: (x.clamp(-0.5, 0.5), x.clamp(min=0), x.clamp_max(0.3), F.hardtanh(x)), A),
    "compare": (lambda x, y: (x < y, x >= y, x == y, torch.isnan(x), ~(x > y), (x > 0) & (y > 0)), A, B),
    "max of two": (lambda x, y: (torch.maximum(x, y), torch.min(x, y)), A, B),
    "where": (
        lambda x, y: (torch.where(x > 0, x, y), torch.where(x > 0, 1.0, y), x.masked_fill(y > 0, -1)),
        A,
        B,
    ),
    "activations": (
        lambda x: tuple(
            f(x)
            for f in (
                F.relu,
                F.gelu,
                F.silu,
                F.elu,
                F.selu,
                F.celu,
                F.leaky_relu,
                F.softplus,
                F.mish,
                F.hardswish,
                F.hardsigmoid,
                F.logsigmoid,
                F.softsign,
                F.relu6,
                torch.sigmoid,
                torch.tanh,
                F.hardtanh,
            )
        ),
        A,
    ),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), A),
    "glu": (lambda x: F.glu(x[:, :4]), A),
    "trigonometry": (lambda x: (x.sin(), x.cos(), x.tan(), x.atan(), torch.atan2(x, x + 1), x.sinh()), A),
    "inverse functions": (lambda x: (x.asinh(), (x / 5).acos(), (x / 5).asin(), (x / 5).atanh()), A),
    "exponentials": (
        lambda x: (x.exp(), x.log(), x.log1p(), x.expm1(), x.sqrt(), x.rsqrt(), x.log2()),
        POSITIVE,
    ),
    "casts": (lambda x: (x.long(), x.bool(), x.double(), x.half().float(), x.to(torch.int32)), A),
    "integer bits": (lambda x: (x & 3, x | 1, x ^ 2, x << 1, x >> 1, ~x), WHOLE),
    "lerp and addcmul": (lambda x, y: (torch.lerp(x, y, 0.3), torch.addcmul(x, x, y, value=0.5)), A, B),
    "in place": (lambda x: x.clone().add_(1).mul_(2), A),
    "in place on what is new": (lambda x: _raised(x), A),
    "in place under two names": (lambda x: _two_names(x), A),
    "in place on a slice": (lambda x: _written(x), A),
    "fills": (
        lambda x: (torch.zeros_like(x) + x, x.new_ones(2), torch.full_like(x, 2.5), torch.arange(3)),
        A,
    ),
    "reshape": (lambda x: (x.reshape(5, 3), x.t().reshape(15), x.flatten(), x.unsqueeze(1).squeeze(1)), A),
    "permutes": (lambda x: (x.permute(0, 2, 3, 1), x.transpose(1, 2), x.movedim(1, -1), x.mT), IMAGE),
    "slices": (lambda x: (x[1:, ::2], x[-1], x[..., 2], x.narrow(1, 1, 3), x[:, None]), A),
    "splits": (lambda x: (*x.split(2, dim=1), *x.chunk(3, dim=1), *x.split([1, 4], dim=1), *x.unbind(0)), A),
    "tensor split": (lambda x: torch.tensor_split(x, 3, dim=1), A),
    "joins": (lambda x, y: (torch.cat([x, y], 1), torch.stack([x, y], 1), torch.cat([x, x.long()])), A, B),
    "expand and repeat": (lambda x: (x[:1].expand(4, 5), x.repeat(2, 3), x.repeat_interleave(2, dim=1)), A),
    "roll and flip": (lambda x: (x.roll(2), x.roll((1, -2), (0, 1)), x.flip(0, 1)), A),
    "diagonal": (lambda x: (x.diagonal(), x.diagonal(1), x.tril(), x.triu(1)), A),
    "windows": (lambda x: (x.unfold(2, 4, 3), torch.as_strided(x, (2, 3, 4), (44, 2, 1))), SIGNAL),
    "padding": (
        lambda x: (F.pad(x, (1, 2)), F.pad(x, (1, 0, 2, 1), value=3.0), F.pad(x, (-1, 1)), F.pad(x, (0, -2))),
        SIGNAL,
    ),
    "padding modes": (
        lambda x: tuple(F.pad(x, (2, 1), mode=m) for m in ("reflect", "replicate", "circular")),
        SIGNAL,
    ),
    "pixel shuffle": (lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x[..., :6, :8], 2)), IMAGE),
    "linear": (lambda x: (F.linear(x, C.t()), F.linear(x, C.t(), C[0])), A),
    "products": (
        lambda x: (x @ C, x @ C[:, 0], C[:, 0] @ C, torch.outer(x[0], x[1]), torch.dot(x[0], x[1])),
        A,
    ),
    "addmm": (lambda x: (torch.addmm(C[0], x, C), torch.addmm(C[:3], x, C, beta=0.5, alpha=2)), A),
    "baddbmm": (lambda x: torch.baddbmm(x @ x.mT, x, x.mT, beta=2, alpha=0.1), torch.randn(2, 3, 4)),
    "bilinear": (lambda x: F.bilinear(x, x, torch.ones(2, 5, 5), torch.ones(2)), A),
    "einsum": (
        lambda x, y: tuple(
            torch.einsum(e, x, y)
            for e in (
                "ij,ij->ij",
                "ij,kj->ik",
                "ij,kj->",
                "ij,kl->ikjl",
                "...j,...j->...",
                "ij,ij->j",
                "ab,cb",
            )
        ),
        A,
        B,
    ),
    "einsum of three": (lambda x, y: torch.einsum("ij,kj,kl->il", x, y, torch.ones(3, 2)), A, B),
    "einsum of one": (lambda x: (torch.einsum("bchw->bhc", x), torch.einsum("ii->i", x[0, 0, :, :7])), IMAGE),
    "batched einsum": (lambda x: torch.einsum("bhqd,bhkd->bqhk", x, x), Q),
    "tensordot": (lambda x: torch.tensordot(x, x, dims=([0, 1], [0, 1])), A),
    "layer norm": (lambda x: (F.layer_norm(x, (5,)), F.layer_norm(x, (3, 5), A, B)), A),
    "rms norm": (lambda x: (F.rms_norm(x, (5,)), F.rms_norm(x, (5,), C[:, 0], 1e-3)), A),
    "group norm": (lambda x: (F.group_norm(x, 2), F.instance_norm(x)), IMAGE),
    "batch norm": (
        lambda x: F.batch_norm(x, torch.ones(4), torch.ones(4) * 2, torch.ones(4), torch.zeros(4)),
        IMAGE,
    ),
    "statistics of the batch": (
        lambda x: F.batch_norm(x, None, None, torch.ones(4), torch.ones(4), training=True),
        IMAGE,
    ),
    "sums": (lambda x: (x.sum(), x.sum(1), x.mean((0, 1)), x.prod(0), (x > 0).sum(), x.long().sum(0)), A),
    "extremes": (lambda x: (x.max(), *x.max(1), *x.min(0), x.amax((0, 1)), x.argmax(1), x.argmin()), A),
    "any and all": (lambda x: ((x > 0).any(), (x > -9).all(1)), A),
    "spread": (
        lambda x: (x.var(), x.std(1), x.var(0, correction=0), *torch.var_mean(x, 1), x.var(unbiased=False)),
        A,
    ),
    "norms": (
        lambda x: (x.norm(), x.norm(1, dim=1), torch.linalg.vector_norm(x, 3, dim=0), F.normalize(x)),
        A,
    ),
    "softmaxes": (lambda x: (x.softmax(0), F.log_softmax(x, -1), x.logsumexp(1), F.softmin(x, 1)), A),
    "scans": (lambda x: (x.cumsum(1), x.cumprod(0), (x > 0).cumsum(0), torch.diff(x)), A),
    "counts": (lambda x: torch.histc(x.float(), 4, 0, 3), INDEX),
    "distances": (
        lambda x, y: (torch.cdist(x, y), F.cosine_similarity(x, y), torch.cross(x[:, :3], y[:, :3], dim=1)),
        A,
        B,
    ),
    "selection": (lambda x: (*x.topk(2), *x.sort(descending=True), x.argsort(0), *x.median(1)), A),
    "buckets": (
        lambda x: (
            torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])),
            torch.bucketize(x, torch.tensor([0.0]), right=True),
        ),
        A,
    ),
    "embedding": (lambda i: F.embedding(i, C), INDEX),
    "gather": (
        lambda x, i: (x.gather(0, i[:3, None].expand(3, 5)), x.index_select(0, i), x[i], x[:, i]),
        A,
        INDEX,
    ),
    "index": (
        lambda x, i: (x[i[:2], i[2:]], x[i[:, None], i], x[torch.arange(3), torch.arange(3)]),
        A,
        INDEX,
    ),
    "known rows": (
        lambda x: (x[torch.arange(3)], x[torch.tensor([2, 0])], x[torch.arange(1, 3)[:, None]]),
        A,
    ),
    "index put": (lambda x, i: (_put(x, i, False), _put(x, i, True)), A, INDEX),
    "scatter": (
        lambda x, i: (x.scatter(0, i[None], 2.0), x.scatter_add(0, i[None], B[:1]), x.index_add(0, i, C.t())),
        A,
        INDEX,
    ),
    "masked write": (lambda x: _masked(x), A),
    "masked scatter": (lambda x, y: x.masked_scatter(x > 0, y), A, B),
    "one hot": (lambda i: F.one_hot(i, 4), INDEX),
    "isin and meshgrid": (
        lambda i: (torch.isin(i, torch.tensor([0, 2])), *torch.meshgrid(i, i, indexing="xy")),
        INDEX,
    ),
    "conv": (
        lambda x: (
            F.conv1d(x, SIGNAL[:, :, :3], padding=1),
            F.conv1d(x, SIGNAL[:, :2, :3], stride=2, groups=2),
        ),
        SIGNAL,
    ),
    "conv same": (lambda x: F.conv1d(x, SIGNAL[:, :, :4], padding="same"), SIGNAL),
    "conv 2d": (lambda x: F.conv2d(x, IMAGE[:, :, :3, :2], C[0, :2], stride=2, padding=1, dilation=2), IMAGE),
    "conv without a batch": (lambda x: F.conv2d(x[0], IMAGE[:, :, :3, :2]), IMAGE),
    "transposed conv": (
        lambda x: F.conv_transpose2d(x, IMAGE[:, :3, :2, :2].repeat(2, 1, 1, 1), stride=2, output_padding=1),
        IMAGE,
    ),
    "im2col": (lambda x: (F.unfold(x, 3, padding=1, stride=2), F.fold(F.unfold(x, 3), (7, 9), 3)), IMAGE),
    "pooling": (lambda x: (F.max_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1), F.max_pool1d(x[0], 3, 1, 1)), IMAGE),
    "adaptive": (
        lambda x: (
            F.adaptive_avg_pool2d(x, 1),
            F.adaptive_avg_pool2d(x, (3, 4)),
            F.adaptive_max_pool2d(x, 2),
        ),
        IMAGE,
    ),
    "resampling": (
        lambda x: tuple(
            F.interpolate(x, size=(5, 12), mode=m, align_corners=a)
            for m, a in (
                ("nearest", None),
                ("bilinear", False),
                ("bilinear", True),
                ("bicubic", False),
                ("nearest-exact", None),
            )
        ),
        IMAGE,
    ),
    "antialiased": (
        lambda x: (
            F.interpolate(x, size=(3, 12), mode="bilinear", antialias=True),
            F.interpolate(x, size=(5, 4), mode="bicubic", antialias=True),
        ),
        IMAGE,
    ),
    "running extremes": (lambda x: (x.cummax(1).values, x.long().cummin(0).values), A),
    "resampling by a factor": (lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"), IMAGE),
    "grid sample": (
        lambda x, g: tuple(
            F.grid_sample(x, g, mode=m, padding_mode=p, align_corners=a)
            for m in ("bilinear", "nearest", "bicubic")
            for p in ("zeros", "border")
            for a in (False, True)
        ),
        IMAGE,
        torch.rand(2, 3, 5, 2) * 2.4 - 1.2,
    ),
    "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True), Q, K),
    "causal": (
        lambda q: (
            F.scaled_dot_product_attention(q, q, q, is_causal=True),
            F.scaled_dot_product_attention(q[:, :, :3], q, q, is_causal=True),
        ),
        Q,
    ),
    "causal, more queries": (
        lambda q: F.scaled_dot_product_attention(q, q[:, :, :4], q[:, :, :4], is_causal=True),
        Q,
    ),
    "masked attention": (
        lambda q: F.scaled_dot_product_attention(
            q, q, q, torch.ones(6, 6).tril(-1).bool().logical_not(), scale=0.3
        ),
        Q,
    ),
    "attention in three axes": (lambda q: F.scaled_dot_product_attention(q[0], q[0], q[0]), Q),
    "multi-head attention": (
        lambda x: torch.nn.functional.multi_head_attention_forward(
            x, x, x, 4, 2, torch.ones(12, 4) * 0.1, None, None, None, False, 0.0, C[:4], None, training=False
        )[0],
        torch.randn(5, 2, 4),
    ),
    "Fourier": (
        lambda x: (
            torch.fft.fft(x).real,
            torch.fft.fftn(x, dim=(1, 2)).imag,
            torch.fft.rfft(x).abs(),
            torch.fft.irfft(torch.fft.rfft(x), n=11),
            torch.fft.ifft(torch.fft.fft(x)).real,
        ),
        SIGNAL,
    ),
    "complex numbers": (
        lambda x: torch.view_as_real(torch.view_as_complex(x) * torch.polar(torch.ones(3, 5), A)),
        torch.randn(3, 5, 2),
    ),
    "windows of a turned tensor": (lambda x: x.permute(2, 0, 1).as_strided((3, 2, 5), (7, 2, 3)), SIGNAL),
    "windows of a filled tensor": (lambda x: x[:, :3] + torch.ones(4, 6).t().as_strided((3, 3), (2, 1)), A),
    "recurrent": (lambda x: LSTM(x.permute(2, 0, 1))[0], SIGNAL),
    "even bags of rows": (
        lambda x: (
            F.embedding_bag(WHOLE[:, :2] % 3, x, mode="sum"),
            F.embedding_bag(WHOLE % 3, x, mode="mean"),
            F.embedding_bag(WHOLE % 3, x, mode="sum", per_sample_weights=A[:2, :3]),
        ),
        A,
    ),
    "write through a known mask": (
        lambda x: x.clone().masked_fill(x > 9, 0).index_put((torch.arange(3) > 0,), C[:2, :1].expand(2, 5)),
        A,
    ),
    "decomposed": (
        lambda x: (torch.logaddexp(x, x), F.threshold(x, 0.1, 0.0), torch.logit(x.sigmoid()), torch.sgn(x)),
        A,
    ),
}


def _written(x):
    y = x.clone()
    y[:, 1:3] = 0.5
    y[0] += 1
    return y


def _raised(x):
    y = x * 2
    seen = y + 1
    y.add_(1)
    return seen, y, y * 2


def _two_names(x):
    y = x * 2
    row = y[0]
    y.mul_(3)
    row.add_(1)
    return row, y


def _put(x, index, accumulate):
    return x.index_put((index,), C[0, 0], accumulate=accumulate)


def _masked(x):
    y = x.clone()
    y[y > 0] = 7.0
    y[x[:, 0] > 0] = C[:, 1]
    return y


class Wrapped(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.mark.parametrize("case", CASES)
def test_the_graph_gives_what_torch_gives(case):
    function, *inputs = CASES[case]
    graph = trace(Wrapped(function), tuple(inputs))
    wanted = pytree.tree_leaves(function(*inputs))
    found = interpret(graph, *(t.numpy() for t in inputs))
    assert len(found) == len(wanted)
    for value, ours, theirs in zip(graph.outputs, found, wanted, strict=True):
        assert value.type.shape == tuple(theirs.shape), value
        expected = theirs.to(torch.float64).numpy() if theirs.is_floating_point() else theirs.numpy()
        assert (np.asarray(ours).dtype.kind == "f") == theirs.is_floating_point()
        np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-5)

"""Mixers whose time grows with the length alone, beside causal flash attention of the same heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import (
    Examined,
    Family,
    OpForm,
    Tensors,
    Thunk,
    Work,
    dtype_of,
    generator,
    kernel_of,
    normal,
    typed,
)
from siliform.kernels.bench.families.hashing import flash_of_heads
from siliform.kernels.bench.families.ofops import reference

#: Tokens that are gone through one by one in float64: what comes later hangs on them in the same way.
EXAMINED_TOKENS = 1024
TINY = 1e-6  # added to normalisers: fast-transformers, LinearAttention, eps
#: Chunks multiply numbers that were rounded to the operands' format more than once.
BOUNDS = {"bf16": 1e-2, "fp16": 2e-3, "fp32": 1e-4}


class Recurrent(Family):
    """Shared by all: sizes batch, heads, tokens, width (and state); operands in the kernel's order."""

    other_functions = frozenset({"sdpa-flash"})

    def ours(self, case: Case, operands: Tensors) -> Thunk:
        """The kernel of the operands in their order."""
        kernel, given = kernel_of(case), tuple(operands.values())
        return lambda: kernel(*given)

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Causal flash attention of the same heads."""
        return {"sdpa-flash": lambda case, x: flash_of_heads(case, x, causal=True)}

    def bound(self, case: Case) -> float:
        """By the format."""
        return BOUNDS[case.formats["operands"]]

    @staticmethod
    def heads(case: Case, random: torch.Generator, *names: str) -> dict[str, torch.Tensor]:
        """Normal [batch, heads, tokens, width] of each name."""
        s = case.sizes
        shape = (s["batch"], s["heads"], s["tokens"], s["width"])
        return {name: normal(shape, dtype_of(case), random) for name in names}


def _state_work(case: Case, products: int, passed: int) -> Work:
    """`products` multiply-accumulates of width² for each token and head, `passed` rows of width moved."""
    s, size = case.sizes, dtype_of(case).itemsize
    tokens = s["batch"] * s["heads"] * s["tokens"]
    return Work(2 * products * tokens * s["width"] ** 2, passed * tokens * s["width"] * size)


def _first(case: Case, operands: Tensors, axis: int) -> tuple[int, Tensors, str]:
    """The tokens that are examined, the operands cut to them in float64, and a text."""
    tokens = min(case.sizes["tokens"], EXAMINED_TOKENS)
    cut = {name: x.narrow(axis, 0, tokens).double() for name, x in operands.items()}
    return tokens, cut, f"the first {tokens} of {case.sizes['tokens']} tokens"


class LinearAttention(Recurrent):
    """elu(q) + 1 and elu(k) + 1 in place of the exponential (arXiv 2006.16236), over all keys."""

    name = "linear_attention"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """q, k, v."""
        return self.heads(case, generator(case, device), "q", "k", "v")

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Flash attention over all keys."""
        return {"sdpa-flash": flash_of_heads}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """The first head of the first sequence, all tokens."""
        q, k, v = (x[:1, :1].double() for x in operands.values())
        q, k = torch.nn.functional.elu(q) + 1, torch.nn.functional.elu(k) + 1
        above, below = q @ (k.transpose(-1, -2) @ v), q @ k.sum(-2).unsqueeze(-1) + TINY
        return Examined(above / below, lambda made: made[:1, :1], "one head of one sequence")

    def work(self, case: Case) -> Work:
        """Two products of the state."""
        return _state_work(case, 2, 4)


class GatedLinear(Recurrent):
    """State decayed for each channel of the key by a gate, and read by the query (arXiv 2312.06635)."""

    name = "gated_linear"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """q, k, v, and logarithms of gates as the paper has them: log sigmoid over 16."""
        random = generator(case, device)
        made = self.heads(case, random, "q", "k", "v", "log_gate")
        gate = torch.nn.functional.logsigmoid(made["log_gate"].float()) / 16
        return made | {"log_gate": gate.to(made["q"].dtype)}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Token by token."""
        tokens, x, text = _first(case, operands, 2)
        state = torch.zeros_like(x["k"][:, :, 0, :, None] * x["v"][:, :, 0, None])
        made = []
        for t in range(tokens):
            q, k, v, gate = (part[:, :, t] for part in x.values())
            state = gate.exp()[..., None] * state + k[..., None] * v[..., None, :]
            made.append((q[..., None] * state).sum(-2))
        return Examined(torch.stack(made, 2), lambda y: y[:, :, :tokens], text)

    def work(self, case: Case) -> Work:
        """Two products of the state."""
        return _state_work(case, 2, 5)


class DeltaRule(Recurrent):
    """State whose value of a key is moved by beta towards the new one (arXiv 2406.06484)."""

    name = "delta_rule"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """q, v normal, k of norm 1, beta in (0, 1)."""
        random = generator(case, device)
        made = self.heads(case, random, "q", "k", "v")
        made["k"] = torch.nn.functional.normalize(made["k"].float(), dim=-1).to(made["q"].dtype)
        beta = normal(tuple(made["q"].shape[:3]), torch.float32, random).sigmoid()
        return made | {"beta": beta.to(made["q"].dtype)}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Token by token."""
        tokens, x, text = _first(case, operands, 2)
        state = torch.zeros_like(x["k"][:, :, 0, :, None] * x["v"][:, :, 0, None])
        made = []
        for t in range(tokens):
            q, k, v, beta = (part[:, :, t] for part in x.values())
            change = beta[..., None] * (v - (k[..., None] * state).sum(-2))
            state = state + k[..., None] * change[..., None, :]
            made.append((q[..., None] * state).sum(-2))
        return Examined(torch.stack(made, 2), lambda y: y[:, :, :tokens], text)

    def work(self, case: Case) -> Work:
        """Three products of the state."""
        return _state_work(case, 3, 4)


class Ssd(Recurrent):
    """Mamba-2's recurrence: x [B, N, H, P], log decay [B, N, H], b and c [B, N, G, S] (arXiv 2405.21060)."""

    name = "ssd"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """x, b, c normal, decays of softplus times -1."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        lead = (s["batch"], s["tokens"])
        x = normal((*lead, s["heads"], s["width"]), dtype, random)
        decay = -torch.nn.functional.softplus(normal((*lead, s["heads"]), torch.float32, random))
        b, c = (normal((*lead, s["groups"], s["state"]), dtype, random) for _ in range(2))
        return {"x": x, "log_decay": decay.to(dtype), "b": b, "c": c}

    def baselines(self) -> Mapping[str, Callable[[Case, Tensors], Thunk]]:
        """Causal flash attention of as many heads as wide as x's."""

        def flash(case: Case, operands: Tensors) -> Thunk:
            return flash_of_heads(case, {"v": operands["x"].transpose(1, 2).contiguous()}, causal=True)

        return {"sdpa-flash": flash}

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """Token by token."""
        tokens, x, text = _first(case, operands, 1)
        shared = case.sizes["heads"] // case.sizes["groups"]
        inward, outward = (x[name].repeat_interleave(shared, dim=2) for name in "bc")
        state = torch.zeros_like(inward[:, 0, :, :, None] * x["x"][:, 0, :, None])
        made = []
        for t in range(tokens):
            decay = x["log_decay"][:, t].exp()[..., None, None]
            state = decay * state + inward[:, t, :, :, None] * x["x"][:, t, :, None]
            made.append((outward[:, t, :, :, None] * state).sum(-2))
        return Examined(torch.stack(made, 1), lambda y: y[:, :tokens], text)

    def work(self, case: Case) -> Work:
        """Two products with the state of each head."""
        s, size = case.sizes, dtype_of(case).itemsize
        tokens = s["batch"] * s["tokens"]
        numbers = s["heads"] * (2 * s["width"] + 1) + 2 * s["groups"] * s["state"]
        return Work(4 * tokens * s["heads"] * s["width"] * s["state"], tokens * numbers * size)


class SelectiveScan(Recurrent):
    """Mamba's recurrence: u and delta [B, D, L], a [D, S], b and c [B, S, L] (arXiv 2312.00752)."""

    name = "selective_scan"

    def operands(self, case: Case, device: torch.device) -> Tensors:
        """As Mamba initialises: a from -1 to -S, steps of softplus."""
        s, random, dtype = case.sizes, generator(case, device), dtype_of(case)
        batch, channels, tokens, states = (s[axis] for axis in ("batch", "channels", "tokens", "state"))
        step = torch.nn.functional.softplus(normal((batch, channels, tokens), torch.float32, random) - 4)
        rates = -torch.arange(1, states + 1, dtype=torch.float32, device=device).expand(channels, states)
        return {
            "u": normal((batch, channels, tokens), dtype, random),
            "delta": step.to(dtype),
            "a": rates.contiguous(),
            "b": normal((batch, states, tokens), dtype, random),
            "c": normal((batch, states, tokens), dtype, random),
            "d": normal((channels,), torch.float32, random),
        }

    def exact(self, case: Case, operands: Tensors) -> Examined:
        """The first tokens of the first sequence, by the op's reference."""
        tokens = min(case.sizes["tokens"], EXAMINED_TOKENS)
        cut = {k: x if k in "ad" else x[:1, ..., :tokens] for k, x in operands.items()}
        made = reference("selective_scan", cut, {})
        text = f"the first {tokens} of {case.sizes['tokens']} tokens of one sequence"
        return Examined(made, lambda y: y[:1, :, :tokens], text)

    def work(self, case: Case) -> Work:
        """Of each state an exponential, three products and two sums."""
        s, size = case.sizes, dtype_of(case).itemsize
        tokens = s["batch"] * s["tokens"]
        moved = tokens * (3 * s["channels"] + 2 * s["state"]) * size + 4 * s["channels"] * (s["state"] + 1)
        return Work(6 * tokens * s["channels"] * s["state"], moved)

    def op_form(self, case: Case, operands: Tensors) -> OpForm:
        """The op selective_scan."""
        return OpForm(typed(operands), {})

"""Attention kernels against others on one GPU, by the laws of its kernels: LeanAttention's stream-K for one
new token, against one program a head and against caches cut into parts; FlashSigmoid's weights against
softmax.

Times have the launch in them, and no constant is fitted to any of these figures. Both papers print means
without the sizes that they are of. Ours are over 8 K to 512 K tokens, 1 to 8 sequences and 32, 48 or 56 heads
of one new token; and over 1 K to 16 K tokens in heads of 64 and of 128, full and causal.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

import siliform as sf
from benchmarks.published import Row
from siliform.arch.gpu.attention import Heads, decode_cycles, stream_k_cycles, whole_cycles
from siliform.arch.gpu.gpu import Gpu

LEAN = "arXiv 2405.10480, LeanAttention, abstract"
FLASH_SIGMOID = "arXiv 2409.04431, Theory, Analysis, and Best Practices for Sigmoid Self-Attention, abstract"
TOLERANCE = 0.2
TOKENS = tuple(2**power for power in range(13, 20))
SEQUENCES = (1, 2, 4, 8)
HEADS = ((32, 128), (48, 64), (56, 64))  # and their width
LARGEST = 2**19
WHOLE_TOKENS = (1024, 4096, 16384)
WIDTHS = (64, 128)
#: Of a weight, in cycles of a multiprocessor's 128 lanes: one tanh, which as an exponential one lane in eight
#: computes, with a sum and a product around it (the paper's section 4 has sigmoid so).
TANH_CYCLES = 10 / 128
#: An exponential, a reciprocal, a sum and a product, as kernels/gpu/attention.py has it.
EXACT_CYCLES = 18 / 128
RULE = "quotient of times on nvidia-{}, bf16"
#: Why rows are outside.
PER_HEAD = (
    "108 multiprocessors have at most 3.4 times to win over 32 heads and 1.9 over 56, and hardly any over "
    "more than one sequence, which fills them: a mean of 2.6 is of fewer heads on a GPU, as where a "
    "network's are spread over several, or over a kernel that streams slower than the law has it"
)
SPLIT = (
    "the law takes the fastest number of parts, and adding them up costs a launch: every multiprocessor is "
    "busy then too; what is printed measures how FlashDecoding chose its parts"
)
SIGMOID = (
    "with heads of 64 the law gains 9 to 16 %; with heads of 128 a softmax hides behind products in the law, "
    "which is of FlashAttention-3, and less so in FlashAttention-2, which the paper's kernel is made from"
)


def rows() -> list[Row]:
    return [*_decoding(), *_sigmoid()]


def _decoding() -> Iterator[Row]:
    for name, printed in (("a100", ("2.6", "1.73", "8.33")), ("h100", (None, None, None))):
        chip = Gpu.of(sf.accelerator(f"nvidia-{name}"))
        start, rule = f"stream-K on one {name.upper()}", RULE.format(name)
        per_head, cut = (mean(_quotients(chip, is_cut)) for is_cut in (False, True))
        for against, published, ours, why in (
            ("one program a head", printed[0], per_head, PER_HEAD),
            ("a fixed split", printed[1], cut, SPLIT),
        ):
            what = f"{start}, mean, against {against}"
            yield Row(LEAN, what, "times", published, ours, TOLERANCE, rule, why if published else "")
        for heads, published in ((56, None), (7, printed[2])):
            what = f"{start}, {heads} heads of 64, {LARGEST} tokens, against one program a head"
            chosen = "7 heads, those of 56 that one of 8 GPUs has: none are printed" if published else ""
            ours = _quotient(chip, 1, heads, 64, LARGEST, False)
            yield Row(LEAN, what, "times", published, ours, TOLERANCE, rule, fitted=chosen)


def _quotients(chip: Gpu, cut: bool) -> Iterator[float]:
    for heads, width in HEADS:
        for batch in SEQUENCES:
            for tokens in TOKENS:
                yield _quotient(chip, batch, heads, width, tokens, cut)


def _quotient(chip: Gpu, batch: int, heads: int, width: int, tokens: int, cut: bool) -> float:
    """Time of one program a head, or of parts of it, over that of stream-K."""
    of = Heads(batch, heads, heads, 1, tokens, tokens, tokens, 0, width, width)
    cache_bytes = 2 * batch * heads * tokens * width * 2
    memory = chip.transfer_cycles(cache_bytes, cache_bytes)
    other = decode_cycles(chip, of, memory, cut=cut)
    return float((chip.launch_cycles + other) / (chip.launch_cycles + stream_k_cycles(chip, of, memory)))


def _sigmoid() -> Iterator[Row]:
    chip, unit, rule = Gpu.of(sf.accelerator("nvidia-h100")), "% faster than softmax", RULE.format("h100")
    for what, cycles in (("one tanh", TANH_CYCLES), ("an exponential and a reciprocal", EXACT_CYCLES)):
        gained = {
            width: mean(
                _gained(chip, n, width, causal, cycles) for n in WHOLE_TOKENS for causal in (False, True)
            )
            for width in WIDTHS
        }
        name = f"sigmoid by {what}"
        printed = "17" if cycles == TANH_CYCLES else None
        over_all = mean(gained.values())
        note = SIGMOID if printed else "as our own kernel computes it, whose weights are exact in fp32"
        yield Row(FLASH_SIGMOID, f"{name}, mean", unit, printed, over_all, TOLERANCE, rule, note)
        for width, percent in gained.items():
            yield Row(FLASH_SIGMOID, f"{name}, heads of {width}", unit, None, percent, TOLERANCE, rule)


def _gained(chip: Gpu, tokens: int, width: int, causal: bool, weight_cycles: float) -> float:
    """How many percent faster than softmax weights of so many cycles are; 2048 channels, 16 K tokens."""
    batch, heads, seen = 16384 // tokens, 2048 // width, tokens / 2 if causal else tokens
    of = Heads(batch, heads, heads, tokens, tokens, seen, tokens, int(causal), width, width)
    moved_bytes = 4 * batch * heads * tokens * width * 2
    memory = chip.transfer_cycles(moved_bytes, moved_bytes)
    softmax, sigmoid = (
        chip.launch_cycles + whole_cycles(chip, of, chip.rates["bf16"], memory, cycles)
        for cycles in (chip.softmax_cycles, weight_cycles)
    )
    return float(100 * (softmax / sigmoid - 1))

"""Products of fp8 as serving frameworks run and time them: which kernel, and what makes its input fp8.

vLLM and SGLang multiply by CUTLASS kernels with a scale for each token, which have few tiles to choose from
and do not cut K; TensorRT-LLM calls cuBLAS. What is timed has the kernels in it that make a bf16 input fp8,
which take longer than moving its bytes would: one block for each token in vLLM, few warps for each in SGLang,
and in TensorRT-LLM one scale for all of the input, whose largest element is sought before. ::

    python -m siliform.arch.tech.fp8_products      the constants of `QUANTISERS`, fitted: ten seconds

Fitted to the training half of an H100's rows alone (`measured.held_out`); H200, L40S and B200 never were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.arch.gpu.cache import share_missed
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.product import product_cycles

if TYPE_CHECKING:
    from siliform.arch.tech.measured import Rows

#: Frameworks whose products of fp8 are CUTLASS's, with the scale of each token in its epilogue.
BY_TOKEN = ("vllm", "sglang")
#: Most rows of a product, and its tile (vLLM, csrc/quantization, scaled_mm_sm90_fp8_dispatch.cuh: TileShape
#: for M; SGLang has taken it over). Kernels of other generations have other tiles near these.
TILES = ((64, (64, 64)), (128, (64, 128)), (np.inf, (128, 128)))
FORMAT, WIDE_BYTES, NARROW_BYTES = "fp8_e4m3", 2, 1
BLOCKS = 2  # of 1,024 threads, which a multiprocessor of 2,048 holds: tokens that are made fp8 at a time


@dataclass(frozen=True)
class Quantiser:
    """Kernels that make an input of bf16 fp8.

    Attributes
    ----------
    launches : how many kernels, by what they cost besides their work.
    token_cycles : of a token besides its elements, BLOCKS at a time on each multiprocessor.
    element_bytes : passed for each element; 3 would be each read and written once.
    """

    launches: float
    token_cycles: float
    element_bytes: float


#: fitted, all of them.
QUANTISERS: Mapping[str, Quantiser] = {
    "vllm": Quantiser(launches=0.99, token_cycles=3280.0, element_bytes=5.98),
    "trtllm": Quantiser(launches=3.72, token_cycles=37.7, element_bytes=6.94),
    "sglang": Quantiser(launches=0.90, token_cycles=339.0, element_bytes=5.19),
}


def fp8_product_cycles(gpu: Gpu, framework: str, m: Any, n: Any, k: Any, memory_cycles: Any) -> Any:
    """Cycles of M x N x K products beside `memory_cycles`, launch left out; arrays of one shape."""
    rate = gpu.rates[FORMAT]
    if framework not in BY_TOKEN:
        return product_cycles(gpu, m, n, k, rate, memory_cycles=memory_cycles, operand_bytes=NARROW_BYTES)
    made, least = np.empty(np.shape(m)), 0.0
    for most, tile in TILES:
        these = (m > least) & (m <= most)
        memory = np.broadcast_to(memory_cycles, np.shape(m))[these]
        made[these] = product_cycles(
            gpu,
            m[these],
            n[these],
            k[these],
            rate,
            memory_cycles=memory,
            operand_bytes=NARROW_BYTES,
            only=tile,
        )
        least = most
    return made


def quantising_cycles(gpu: Gpu, by: Quantiser, m: Any, k: Any) -> Any:
    """Cycles in which an input of m tokens of k elements is made fp8, launches included.

    The first tokens of each multiprocessor are as long under way as a launch lets anything be.
    """
    elements = m * k
    missed = share_missed((WIDE_BYTES + NARROW_BYTES) * elements, gpu.kept_bytes)
    rounds = np.maximum(m / (BLOCKS * gpu.multiprocessors) - 1, 0)
    moved = by.element_bytes * elements
    return (
        by.launches * gpu.launch_cycles
        + rounds * by.token_cycles
        + gpu.transfer_cycles(missed * moved, moved)
    )


def refitted(rows: Rows, gpu: Gpu, start: Quantiser) -> Quantiser:
    """The constants that fit rows of one framework on a GPU, by Gauss and Newton on logarithms.

    Rows are weighed as in `fit_gpu_laws`, so that far ones pull no more than near ones.
    """
    from siliform.arch.tech import measured_as
    from siliform.arch.tech.fit_gpu_laws import SOFT

    m, k = (rows.shape[axis].astype(float) for axis in "mk")
    whole = measured_as.predicted_seconds(gpu, rows)
    bare = whole - quantising_cycles(gpu, QUANTISERS[rows.framework], m, k) / gpu.clock_hz

    def errors(x: Any) -> Any:
        made = quantising_cycles(gpu, Quantiser(*np.exp(x)), m, k) / gpu.clock_hz
        return np.log((bare + made) / rows.seconds)

    x = np.log([start.launches, start.token_cycles, start.element_bytes])
    for _ in range(40):
        now = errors(x)
        weight = 1 / np.sqrt(1 + (now / SOFT) ** 2)
        slopes = np.stack([(errors(x + 0.02 * (np.arange(3) == i)) - now) / 0.02 for i in range(3)], 1)
        normal = slopes.T @ (slopes * weight[:, None]) + 1e-6 * np.eye(3)
        x = x + np.clip(np.linalg.solve(normal, -slopes.T @ (now * weight)), -0.5, 0.5)
    return Quantiser(*(float(value) for value in np.exp(x)))


def main() -> None:
    """Print the constants as they are and as they are fitted, of 4,000 rows each, drawn once."""
    from siliform.arch.design import load_design
    from siliform.arch.tech.measured import rows_of

    gpu = Gpu.of(load_design("nvidia-h100"))
    for framework, known in QUANTISERS.items():
        rows = rows_of("nvidia-h100", "gemm", framework, FORMAT)
        assert rows is not None
        train = np.random.default_rng(0).permutation(np.flatnonzero(~rows.held_out))[:4000]
        found = refitted(rows.some(np.sort(train)), gpu, replace(known, token_cycles=300.0))
        print(framework, known, found, sep="\n  ")


if __name__ == "__main__":
    main()

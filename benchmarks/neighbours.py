"""The matrix products of one BERT-base layer on a 32 x 32 array: ours, SCALE-Sim v3 and ZigZag, in one run.

    python benchmarks/neighbours.py [--quick] [--cache FOLDER] [--json]

int8, 128 tokens, weight-stationary, a megabyte of scratchpad, 64 bytes of DRAM a cycle. Each tool comes from
PyPI into a virtual environment of its own under the cache folder, made on the first run (they want other
versions of NumPy than we do). SCALE-Sim walks every cycle: its five products take some three CPU minutes;
--quick leaves it the two small ones. A tool that cannot be installed is left out, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, best_mapping

ARRAY = 32
PRODUCTS = {  # name: (m, n, k), and how many in a layer
    "projection": ((128, 768, 768), 4),
    "scores": ((128, 128, 64), 12),
    "context": ((128, 64, 128), 12),
    "feed-forward 1": ((128, 3072, 768), 1),
    "feed-forward 2": ((128, 768, 3072), 1),
}
SMALL = ("scores", "context")


@dataclass(frozen=True)
class Tool:
    """A tool from PyPI: what to install, the script that runs in its environment, and its oldest Python."""

    name: str
    requirements: tuple[str, ...]
    driver: str
    least_python: tuple[int, int] = (3, 11)


SCALE_SIM = Tool("SCALE-Sim", ("scalesim==3.0.0", "numpy<2.4"), "scalesim_driver.py")
ZIGZAG = Tool("ZigZag", ("zigzag-dse==3.9.1", "six"), "zigzag_driver.py")
# All releases of the hwcomponents that it needs ask for Python 3.12.
ACCELFORGE = Tool("AccelForge", ("accelforge==1.0.467",), "accelforge_driver.py", (3, 12))


def base_python(least: tuple[int, int]) -> str | None:
    """Return a Python of at least this version: this one, or one on PATH or among pyenv's that runs."""
    if sys.version_info[:2] >= least:
        return sys.executable
    names = [f"python{least[0]}.{minor}" for minor in range(least[1], least[1] + 3)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    there = [found for name in names if (found := shutil.which(name))]
    there += [str(found) for name in names for found in sorted(pyenv.glob(f"*/bin/{name}"))]
    for python in there:  # pyenv's shim for a version that is not chosen is on PATH, but does not run
        if not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    return None


def interpreter(tool: Tool, cache: Path) -> Path | str:
    """Return the Python of the tool's environment, made if need be, or why there is none."""
    folder = cache / "-".join(tool.requirements).replace("<", "_").replace("=", "_")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / "complete").exists():
        return python
    base = base_python(tool.least_python)
    if base is None:
        return f"it needs Python {'.'.join(map(str, tool.least_python))} or newer, and none is here"
    print(f"installing {' '.join(tool.requirements)} into {folder}", file=sys.stderr)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", "--clear", str(folder)], [*pip, *tool.requirements]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            return f"{command[2]} cannot install it: {said[-1]}"
    (folder / "complete").touch()
    return python


def run(tool: Tool, names: tuple[str, ...], cache: Path) -> dict[str, dict[str, float]] | str:
    """Return cycles and CPU seconds per product, or why there are none."""
    products = [PRODUCTS[name][0] for name in names]
    if tool is SCALE_SIM:
        found = drive(tool, [scale_sim_run(ARRAY, product, "ws") for product in products], cache)
    else:
        found = drive(tool, {"array": ARRAY, "products": products}, cache)
    return found if isinstance(found, str) else dict(zip(names, found, strict=True))


def scale_sim_run(
    array: int,
    product: tuple[int, int, int],
    dataflow: str,
    sram_kib: tuple[int, int, int] = (384, 384, 256),
    bandwidth: tuple[int, int, int] | None = None,
) -> dict[str, Any]:
    """Return what SCALE-Sim's driver is asked for one product; without bandwidths nothing stalls."""
    return {
        "array": array,
        "product": product,
        "dataflow": dataflow,
        "sram_kib": sram_kib,
        "bandwidth": bandwidth,
    }


def drive(tool: Tool, asked: Any, cache: Path) -> list[dict[str, float]] | str:
    """Return what the tool's driver answers, or why there is no answer."""
    python = interpreter(tool, cache)
    if isinstance(python, str):
        return python
    driver = Path(__file__).parent / "drivers" / tool.driver
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [python, driver],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        return f"it fails: {done.stderr.strip().splitlines()[-1]}"
    answer: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def ours(overlap: str) -> dict[str, dict[str, float]]:
    """Return our cycles for the whole product and for the computation, and the CPU seconds of finding the
    mapping."""
    resources = ArrayResources(ARRAY, ARRAY, "weight-stationary", overlap, 1 << 20, 64.0)
    best_mapping(GemmProblem(1, 1, 1), resources)  # compiles, or loads what was compiled
    found = {}
    for name, (size, _) in PRODUCTS.items():
        start = time.process_time()
        mapping = best_mapping(GemmProblem(*size), resources)
        seconds = time.process_time() - start
        found[name] = {"cycles": mapping.cycles, "compute_cycles": mapping.compute_cycles, "cpu_s": seconds}
    return found


def layer(cycles: dict[str, float]) -> float | None:
    """Return the cycles of a layer, or None where a product is missing."""
    if len(cycles) < len(PRODUCTS):
        return None
    return sum(cycles[name] * count for name, (_, count) in PRODUCTS.items())


def scale_sim_difference(columns: dict[str, dict[str, float]]) -> str:
    """Return why SCALE-Sim's cycles are not ours."""
    gaps = {columns["none, compute"][name] - cycles for name, cycles in columns["SCALE-Sim"].items()}
    if gaps != {1}:
        return f"SCALE-Sim: {sorted(gaps)} cycles less than our overlap 'none', which is not explained."
    return (
        "SCALE-Sim: one cycle less than our overlap 'none' in every product: it prints the largest cycle "
        "index, counted from zero. Its folds follow one another, and its DRAM never holds the array up."
    )


def zigzag_difference(columns: dict[str, dict[str, float]], parts: dict[str, dict[str, float]]) -> str:
    """Return why ZigZag's cycles are not ours."""
    shares = [cycles / columns["double-buffered"][name] - 1 for name, cycles in columns["ZigZag"].items()]
    drain = 2 * ARRAY - 2
    rest = {
        name: row["cycles"] - row["ideal"] - row["data_onloading"] - row["data_offloading"] - drain
        for name, row in parts.items()
    }
    told = (
        f"ZigZag: {min(shares):+.1%} to {max(shares):+.1%} against our overlap 'double-buffered' with DRAM. "
        f"It counts folds x rows streamed, our 'bound', and once {drain} cycles until the last sums have "
        "left; no loading of the first weights. Before it come the first tiles from DRAM and after it the "
        "last to DRAM: its tiles are larger than ours there, so that these take longer."
    )
    if any(rest.values()):
        told += f" Beyond that it has stalls of {rest} cycles."
    return told


def differences(columns: dict[str, dict[str, float]], parts: dict[str, dict[str, float]]) -> list[str]:
    """Return a sentence for each difference between us and a neighbour."""
    said = []
    if "SCALE-Sim" in columns:
        said.append(scale_sim_difference(columns))
    if "ZigZag" in columns:
        said.append(zigzag_difference(columns, parts))
    serial, pipelined = (layer(columns[f"{overlap}, compute"]) for overlap in ("none", "double-buffered"))
    if serial and pipelined:
        said.append(
            f"Between the two conventions lie {serial / pipelined:.2f} x per layer: whether the next weights "
            "load behind the running fold decides more than anything else here."
        )
    return said


def default_cache() -> Path:
    """Return the folder that the tools' environments go to."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "siliform" / "neighbours"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only the two small products for SCALE-Sim")
    parser.add_argument(
        "--cache", type=Path, default=default_cache(), help="where the tools' environments go"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    left_out: dict[str, str] = {}
    parts: dict[str, dict[str, float]] = {}
    for overlap in ("none", "double-buffered"):
        found = ours(overlap)
        columns[f"{overlap}, compute"] = {name: row["compute_cycles"] for name, row in found.items()}
        columns[overlap] = {name: row["cycles"] for name, row in found.items()}
        seconds[overlap] = sum(row["cpu_s"] for row in found.values())
    for tool, names in ((SCALE_SIM, SMALL if asked.quick else tuple(PRODUCTS)), (ZIGZAG, tuple(PRODUCTS))):
        result = run(tool, names, asked.cache)
        if isinstance(result, str):
            left_out[tool.name] = result
            continue
        columns[tool.name] = {name: row["cycles"] for name, row in result.items()}
        seconds[tool.name] = sum(row["cpu_s"] for row in result.values())
        parts = result if tool is ZIGZAG else parts
    said = differences(columns, parts)
    if asked.json:
        print(json.dumps({"cycles": columns, "cpu_s": seconds, "left_out": left_out, "said": said}))
        return
    report(columns, seconds, left_out, said)


def report(
    columns: dict[str, dict[str, float]], seconds: dict[str, float], left_out: dict[str, str], said: list[str]
) -> None:
    """Print the table and the sentences."""
    width = max(len(name) for name in columns) + 2
    print(f"cycles on {ARRAY} x {ARRAY}, weight-stationary; the first four columns are ours, by overlap")
    print(f"{'':>16}" + "".join(f"{name:>{width}}" for name in columns))
    for name, ((m, n, k), count) in PRODUCTS.items():
        cells = (
            f"{column[name]:>{width},.0f}" if name in column else f"{'-':>{width}}"
            for column in columns.values()
        )
        print(f"{name:>16}" + "".join(f"{cell:>{width}}" for cell in cells) + f"   {count} x ({m}, {n}, {k})")
    layers = (layer(column) for column in columns.values())
    print(f"{'layer':>16}" + "".join(f"{'-' if x is None else f'{x:,.0f}':>{width}}" for x in layers))
    cpu = (seconds.get(name) for name in columns)
    print(f"{'CPU seconds':>16}" + "".join(f"{'' if x is None else f'{x:.4f}':>{width}}" for x in cpu))
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}")
    for sentence in said:
        print(f"- {sentence}")


if __name__ == "__main__":
    main()

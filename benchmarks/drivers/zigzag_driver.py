"""Run ZigZag on the products given as JSON on stdin; print one JSON list. Runs in ZigZag's environment.

In: {"array": 32, "products": [[m, n, k], ...]}. Out: [{"cycles", "cpu_s" and parts of the cycles}, ...] for
a weight-stationary systolic array with a megabyte of scratchpad for all operands and a DRAM of 64 bytes a
cycle; the fastest mapping that it finds. Tried with ZigZag 3.9.1.
"""

import contextlib
import io
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import yaml

MOVED_BITS = 512  # 64 bytes a cycle


def port(name, kind, bits, allocation, least=8):
    return {
        "name": name,
        "type": kind,
        "bandwidth_min": min(least, bits),
        "bandwidth_max": bits,
        "allocation": [f"{operand}, {way}" for operand, way in allocation],
    }


def memory(size_bits, operands, served, ports, cost):
    return {
        "size": size_bits,
        "r_cost": cost,
        "w_cost": cost,
        "area": 0,
        "latency": 1,
        "operands": operands,
        "served_dimensions": served,
        "ports": ports,
    }


def accelerator(array):
    """Weights rest in two registers of each cell (the next fold's behind), sums move down the columns."""
    row = array * 8
    weights = [port("r_port_1", "read", 8, [("I2", "tl")]), port("w_port_1", "write", 8, [("I2", "fh")])]
    sums = [
        port("r_port_1", "read", 32, [("O", "tl")]),
        port("r_port_2", "read", 32, [("O", "th")]),
        port("w_port_1", "write", 32, [("O", "fh")]),
        port("w_port_2", "write", 32, [("O", "fl")]),
    ]
    scratchpad = [  # a port serves one transfer after another: what the array needs in one cycle has its own
        port("r_port_1", "read", row, [("I1", "tl")]),
        port("r_port_2", "read", row, [("I2", "tl")]),
        port("r_port_3", "read", 4 * row, [("O", "tl")]),
        port("w_port_1", "write", 4 * row, [("O", "fl")]),
        port("rw_port_1", "read_write", MOVED_BITS, [("I1", "fh"), ("I2", "fh"), ("O", "fh"), ("O", "th")]),
    ]
    ways = [("I1", "fh"), ("I1", "tl"), ("I2", "fh"), ("I2", "tl")]
    ways += [("O", way) for way in ("fh", "tl", "fl", "th")]
    dram = [port("rw_port_1", "read_write", MOVED_BITS, ways)]
    return {
        "name": "weight_stationary",
        "memories": {
            "weight_registers": memory(16, ["I2"], [], weights, 0.02),
            "sum_registers": memory(32, ["O"], ["D2"], sums, 0.02),
            "scratchpad": memory(8 << 20, ["I1", "I2", "O"], ["D1", "D2"], scratchpad, 100),
            "dram": memory(10**10, ["I1", "I2", "O"], ["D1", "D2"], dram, 1000),
        },
        "operational_array": {
            "input_precision": [8, 8],
            "unit_energy": 0.04,
            "unit_area": 1,
            "dimensions": ["D1", "D2"],
            "sizes": [array, array],
            "systolic_dimensions": ["D1", "D2"],
        },
    }


def workload(m, n, k):
    return [
        {
            "id": 0,
            "name": "product",
            "operator_type": "Gemm",
            "equation": "O[b][k]+=I[b][c]*W[c][k]",
            "loop_dims": ["B", "K", "C"],
            "loop_sizes": [m, n, k],
            "operand_precision": {"I": 8, "W": 8, "O": 32, "O_final": 8},
            "operand_source": {"I": 0, "W": 0},
        }
    ]


def mapping(array):
    return [
        {
            "name": "default",
            "spatial_mapping": {"D1": [f"K, {array}"], "D2": [f"C, {array}"]},
            "temporal_ordering": [["B", "*"]],  # rows stream innermost: weights rest
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        }
    ]


def run(array, m, n, k, folder):
    from zigzag.api import get_hardware_performance_zigzag

    for name, content in (("arch", accelerator(array)), ("work", workload(m, n, k)), ("map", mapping(array))):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _, cycles, evaluations = get_hardware_performance_zigzag(
            workload=str(folder / "work.yaml"),
            accelerator=str(folder / "arch.yaml"),
            mapping=str(folder / "map.yaml"),
            opt="latency",
            dump_folder=str(folder / "dump"),
            loma_show_progress_bar=False,
        )
    seconds = time.process_time() - start
    found = evaluations[0][1][0][0]
    parts = {
        name: int(getattr(found, f"{name}_cycle")) for name in ("ideal", "data_onloading", "data_offloading")
    }
    return {"cycles": int(cycles), "cpu_s": seconds} | parts


def main():
    asked = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    results = []
    for m, n, k in asked["products"]:
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(asked["array"], m, n, k, Path(folder)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

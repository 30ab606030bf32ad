"""Run AccelForge on the products given as JSON on stdin; print one JSON list. Runs in its environment.

In: {"array": 32, "products": [[m, n, k], ...]}. Out: [{"cycles", "cpu_s"}, ...] for int8 on an array whose
cells keep one weight each, with a megabyte of scratchpad for all operands and a DRAM of 64 bytes a cycle; the
fastest mapping that its mapper finds, in one process. Cells compute once a second here, so that its seconds
are cycles. Left out is what follows the mapper by default: evaluating the mapping found in more detail and
drawing it, for which Graphviz must be there. Tried with AccelForge 1.0.467.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

DESIGN = """
arch:
  nodes:
  - !Memory
    name: DRAM
    size: inf
    area: 0
    leak_power: 0
    tensors: {{keep: All}}
    actions:  # bits a cycle, which reads and writes share
    - {{name: read, energy: 1000, throughput: 512}}
    - {{name: write, energy: 1000, throughput: 512}}
  - !Memory
    name: Scratchpad
    size: 8 * 1024 * 1024
    area: 0
    leak_power: 0
    tensors: {{keep: All}}
    actions:
    - {{name: read, energy: 100, throughput: inf}}
    - {{name: write, energy: 100, throughput: inf}}
  - !Container
    name: Cells
    spatial:  # a row of inputs goes to all columns, sums run down the rows
    - {{name: columns, fanout: {array}, reuse: input}}
    - {{name: rows, fanout: {array}, reuse: output}}
  - !Memory
    name: WeightRegister
    size: 8
    area: 0
    leak_power: 0
    tensors: {{keep: weight}}
    actions:
    - {{name: read, energy: 0.02, throughput: inf}}
    - {{name: write, energy: 0.02, throughput: inf}}
  - !Compute
    name: Mac
    area: 0
    leak_power: 0
    actions:
    - {{name: compute, energy: 0.04, throughput: 1}}
workload:
  iteration_space_shape:
    m: 0 <= m < {m}
    n: 0 <= n < {n}
    k: 0 <= k < {k}
  bits_per_value: {{All: 8}}
  einsums:
  - name: product
    tensor_accesses:
    - {{name: A, projection: [m, k]}}
    - {{name: B, projection: [k, n]}}
    - {{name: C, projection: [m, n], output: True}}
    renames: {{input: A, weight: B, output: C}}
"""


def run(array, m, n, k, folder):
    from accelforge import Spec
    from accelforge.mapper import Metrics
    from accelforge.mapper.FFM.main import map_workload_to_arch

    file = folder / "design.yaml"
    file.write_text(DESIGN.format(array=array, m=m, n=n, k=k))
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        spec = Spec.from_yaml(str(file))
        spec.mapper.metrics = Metrics.LATENCY
        found = map_workload_to_arch(spec, print_progress=False, eval_in_detail=False)
    seconds = time.process_time() - start
    return {"cycles": float(found.data["Total<SEP>latency"].min()), "cpu_s": seconds}


def main():
    from accelforge.util import set_n_parallel_jobs

    asked = json.load(sys.stdin)
    set_n_parallel_jobs(1)  # CPU seconds are those of this process
    results = []
    for m, n, k in asked["products"]:
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(asked["array"], m, n, k, Path(folder)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

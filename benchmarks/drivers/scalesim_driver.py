"""Run SCALE-Sim v3 on the products given as JSON on stdin; print one JSON list. Runs in SCALE-Sim's
environment.

In: {"array": 32, "products": [[m, n, k], ...]}. Out: [{"cycles", "cpu_s"}, ...] for a weight-stationary
array with a megabyte of buffers in three parts; the cycles of the computation alone, since the bandwidth is
calculated from the demand and not limited. Tried with SCALE-Sim 3.0.0.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
[general]
run_name = run
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {array}
ArrayWidth = {array}
IfmapSramSzkB = 384
FilterSramSzkB = 384
OfmapSramSzkB = 256
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = ws
Bandwidth = 64
ReadRequestBuffer = 512
WriteRequestBuffer = 512
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 64
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 64
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""


def run(array, m, n, k, folder):
    from scalesim.scale_sim import scalesim

    (folder / "config.cfg").write_text(CONFIG.format(array=array))
    (folder / "product.csv").write_text(f"Layer, M, N, K,\nproduct, {m}, {n}, {k},\n")
    (folder / "layout.csv").write_text("Layer,\nproduct, " + "1, " * 15 + "\n")
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        tool = scalesim(
            save_disk_space=True,
            verbose=False,
            config=str(folder / "config.cfg"),
            topology=str(folder / "product.csv"),
            layout=str(folder / "layout.csv"),
            input_type_gemm=True,
        )
        tool.run_scale(top_path=str(folder))
    seconds = time.process_time() - start
    header, row = (folder / "run" / "COMPUTE_REPORT.csv").read_text().splitlines()[:2]
    columns = [c.strip() for c in header.split(",")]
    return {"cycles": int(float(row.split(",")[columns.index("Total Cycles")])), "cpu_s": seconds}


def main():
    asked = json.load(sys.stdin)
    results = []
    for m, n, k in asked["products"]:
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(asked["array"], m, n, k, Path(folder)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

"""Run SCALE-Sim v3 on what is given as JSON on stdin; print one JSON list. Runs in SCALE-Sim's environment.

In: [{"array": 32, "product": [m, n, k], "dataflow": "ws" or "os", "sram_kib": [ifmap, filter, ofmap],
"bandwidth": [ifmap, filter, ofmap]}, ...]. Out: [{"cycles", "stall_cycles", "cpu_s"}, ...]: `cycles` is the
largest zero-based cycle, stalls included. Bandwidths are bytes a cycle of each operand's own bus; null
calculates them from the demand, so that nothing ever stalls. Tried with SCALE-Sim 3.0.0.
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
InterfaceBandwidth = {mode}
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {array}
ArrayWidth = {array}
IfmapSramSzkB = {sram[0]}
FilterSramSzkB = {sram[1]}
OfmapSramSzkB = {sram[2]}
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {dataflow}
Bandwidth = {bandwidth[2]}
ReadRequestBuffer = 512
WriteRequestBuffer = 512
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = {bandwidth[0]}
IfmapSRAMBankNum = 1
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = {bandwidth[1]}
FilterSRAMBankNum = 1
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""


def run(asked, folder):
    from scalesim.scale_sim import scalesim

    config = CONFIG.format(
        mode="USER" if asked["bandwidth"] else "CALC",
        array=asked["array"],
        sram=asked["sram_kib"],
        dataflow=asked["dataflow"],
        bandwidth=asked["bandwidth"] or [64, 64, 64],
    )
    (folder / "config.cfg").write_text(config)
    (folder / "product.csv").write_text("Layer, M, N, K,\nproduct, {}, {}, {},\n".format(*asked["product"]))
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
    report = dict(zip((name.strip() for name in header.split(",")), row.split(","), strict=False))
    return {
        "cycles": int(float(report["Total Cycles"])),
        "stall_cycles": int(float(report["Stall Cycles"])),
        "cpu_s": seconds,
    }


def main():
    results = []
    for asked in json.load(sys.stdin):
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(asked, Path(folder)))
    print(json.dumps(results))


if __name__ == "__main__":
    main()

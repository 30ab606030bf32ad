"""One product under the three dataflows of a systolic array, with and without tiles that overlap."""

import siliform as sf

graph = sf.trace("gemm:128,768,3072,int8")
print(f"{graph.name}: {graph.macs / 1e6:.0f} million MACs")
for overlap in ("none", "double-buffered"):
    for flow in ("weight-stationary", "output-stationary", "input-stationary"):
        chip = sf.accelerator("edge-32x32", **{"array.dataflow": flow, "array.overlap": overlap})
        report = sf.estimate(graph, chip)
        print(
            f"{overlap:15} {flow:17} {report.cycles:7,} cycles, {report.utilization:4.0%} of the peak, "
            f"{report.dram_bytes / 1e6:.2f} MB of DRAM traffic, {report.energy_j * 1e6:5.0f} µJ"
        )

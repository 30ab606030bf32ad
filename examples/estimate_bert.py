"""What BERT-base costs at 128 tokens, on three designs."""

import siliform as sf

graph = sf.trace("bert-base", seq=128)
for name in ("edge-32x32", "server-128x128", "nvidia-h100"):
    report = sf.estimate(graph, sf.accelerator(name))
    time = f"{report.latency_s * 1e3:6.2f} ms"
    energy = "energy unknown" if report.energy_j is None else f"{report.energy_j * 1e3:5.1f} mJ"
    print(f"{name:15} {time}  {report.utilization:4.0%} of the peak  {report.bottleneck:8} {energy}")

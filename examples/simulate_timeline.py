"""Where BERT-tiny waits on a narrow DRAM, and what happened when: a trace for ui.perfetto.dev and a page."""

import gzip
import json
from collections import Counter
from pathlib import Path

import siliform as sf

graph = sf.trace("bert-tiny")
for bandwidth in ("25.6 GB/s", "3.2 GB/s"):
    design = sf.accelerator("edge-32x32", **{"dram.bandwidth": bandwidth})
    report = sf.simulate(graph, design, timeline="trace.json.gz", html="report.html")
    lost = {cause: cycles for cause, cycles in report.simulation.stalls_cycles.items() if cycles}
    print(f"{bandwidth:>9}: {report.cycles:,} cycles, stalled for {lost}")

with gzip.open("trace.json.gz", "rt") as file:
    events = json.load(file)["traceEvents"]
tracks = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
slices = Counter(tracks[e["pid"], e["tid"]] for e in events if e["ph"] == "X")
for track in ("array", "vector", "dram", "dma channel 0", "encoder.layer"):
    print(f"{track:>13}: {slices[track]} slices")
longest = max((e for e in events if e.get("cat") == "load"), key=lambda e: e["dur"])
print("longest load:", longest["name"], longest["args"])
page = Path("report.html").read_text(encoding="utf-8")
print("the page:", page.count("<svg"), "pictures, no files beside it")

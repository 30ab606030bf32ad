"""How long and how much memory tracing takes: ``python -m benchmarks.trace_speed [MODEL ...]``.

Each model is traced in a process of its own, on the meta device, standard passes included. Prints
the seconds spent tracing (imports apart), the seconds of the whole process, and its peak memory; exits with 1
when Llama-2-7B at 2048 tokens takes more than 10 s of tracing or 2 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

#: What is traced where no model is named: (model, phase, tokens of the sequence or in the cache).
DEFAULT = (
    ("bert-base", "prefill", 128),
    ("gpt2-xl", "prefill", 1024),
    ("llama-2-7b", "prefill", 2048),
    ("llama-2-7b", "decode", 4096),
    ("yi-34b", "prefill", 4096),
    ("mixtral-8x7b", "prefill", 2048),
)
LIMITED = ("llama-2-7b", "prefill", 2048)
MOST_SECONDS, MOST_BYTES = 10.0, 2e9

CHILD = """
import json, resource, sys, time
import torch, transformers  # imports are not tracing
from siliform.models import Request, build_graph
model, phase, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
size = {"sequence": tokens} if phase == "prefill" else {"context": tokens}
start = time.perf_counter()
graph = build_graph(model, Request(phase=phase, **size) if tokens else Request(phase=phase))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"nodes": len(graph.nodes), "seconds": seconds, "peak_bytes": peak}))
"""


def measured(model: str, phase: str, tokens: int) -> dict[str, float]:
    """One trace in a fresh process: nodes, seconds, whole_s, peak_bytes. `tokens` of 0: the model's own."""
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    command = [sys.executable, "-c", CHILD, model, phase, str(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found | {"whole_s": time.perf_counter() - start}


def main(models: list[str]) -> int:
    """Print a line per model; 1 where the limit is passed."""
    cases = [(model, "prefill", 0) for model in models] or list(DEFAULT)
    print(f"{'model':16} {'phase':8} {'tokens':>7} {'nodes':>7} {'trace s':>8} {'whole s':>8} {'peak GB':>8}")
    status = 0
    for case in cases:
        found = measured(*case)
        model, phase, tokens = case
        print(
            f"{model:16} {phase:8} {tokens or 'own':>7} {found['nodes']:7.0f} {found['seconds']:8.1f} "
            f"{found['whole_s']:8.1f} {found['peak_bytes'] / 1e9:8.2f}",
            flush=True,
        )
        if case == LIMITED and (found["seconds"] > MOST_SECONDS or found["peak_bytes"] > MOST_BYTES):
            print(f"  over the limit of {MOST_SECONDS:.0f} s and {MOST_BYTES / 1e9:.0f} GB")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Serve the same requests in two ways, and see what padding and waiting cost."""

import numpy as np

import siliform as sf
from siliform.simulator.serving import generate_requests

chip = sf.accelerator("nvidia-a100")
requests = generate_requests(
    16,
    prompt="uniform:32,256",
    output="uniform:4,48",
    arrivals="poisson:400",
    generator=np.random.default_rng(7),
)
print(f"{'batching':14}{'tokens/s':>10}{'padding':>9}{'first token':>13}{'per token':>11}{'p95 latency':>13}")
for batching in ("padded", "continuous"):
    report = sf.serve("gpt2", chip, requests, batching=batching, max_batch=8, grid=8)
    told = report.to_dict()
    print(
        f"{batching:14}{told['throughput']['output_tokens_per_s']:10.0f}{told['padding']['share']:9.1%}"
        f"{1e3 * told['time_to_first_token_s']['mean']:10.2f} ms"
        f"{1e3 * told['time_per_output_token_s']['mean']:8.2f} ms{1e3 * told['latency_s']['p95']:10.2f} ms"
    )

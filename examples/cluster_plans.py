"""Four layers of Llama-2-7B on eight A100s: which way of sharing is quickest, and what each device holds."""

import siliform as sf
from siliform.models import Request, build_graph
from siliform.models.catalogue import MODELS

chip = sf.accelerator("nvidia-a100")
model = MODELS["llama-2-7b"].with_configuration(num_hidden_layers=4)
plans = ("tensor=8", "context=8", "context=8,heads", "tensor=4 context=2", "tensor=4 pipeline=2")
requests = (Request(sequence=8192), Request(phase="decode", context=131072))
print(f"{'plan':24}{'latency':>11}{'efficiency':>12}{'for bytes':>11}{'waiting':>9}{'weights':>10}{'KV':>10}")
for request in requests:
    graph = build_graph(model, request)
    print(request.phase)
    for plan in plans:
        if request.phase == "decode" and "heads" in plan:
            continue  # one token has no other tokens' heads to exchange
        report = sf.cluster(graph, chip, plan, topology="ring", link_latency_s=2e-6, phase=request.phase)
        held = report.uses[0]
        print(
            f"  {plan:22}{1e3 * report.latency_s:8.2f} ms{report.efficiency:12.0%}"
            f"{report.communication_share:11.0%}{report.waiting_share:9.0%}"
            f"{held.weight_bytes / 1e9:7.2f} GB{held.kv_bytes / 1e9:7.2f} GB"
        )

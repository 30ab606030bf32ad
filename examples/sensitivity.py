"""Which linear layers of half a pretrained MiniLM mind four bits, and what it helps to spare the worst."""

import torch
from transformers import AutoModel, logging

from siliform.graph_ir.passes.policy import Policy, Rule, parse_bits
from siliform.models.data import held
from siliform.models.minilm.tasks import splits
from siliform.models.quantise import calibrate, observe, result_error, sensitivity

logging.set_verbosity_error()
logging.disable_progress_bar()
module = AutoModel.from_pretrained(held("minilm"), add_pooling_layer=False).eval()
module.encoder.layer = module.encoder.layer[:3]  # half of it, for speed
texts, _ = splits("sentiment", training=100, examples=2)
batches = [{"input_ids": max(texts.batches, key=torch.numel)}]  # snippets of one length

# One layer at a time: weights in int4, inputs in int8. The error is that of the last hidden states.
errors = sorted(sensitivity(module, batches, "w4a8"), key=lambda layer: -layer.error)
for layer in (*errors[:5], errors[-1]):
    print(f"{layer.error:6.1%}  {layer.path}")

# All at once, by each way of choosing a scale; then the four worst in int8.
seen = observe(module, batches)
with torch.no_grad():
    exact = [module(**batch).last_hidden_state for batch in batches]
worst = [Rule(module=layer.path, weight="int8", activation="int8") for layer in errors[:4]]
tried = [(how, parse_bits("w4a8")) for how in ("minmax", "percentile", "mse")]
for how, policy in (*tried, ("mse", Policy((*worst, Rule(weight="int4", activation="int8"))))):
    numbers = calibrate(module, seen, policy, how)
    wrong = result_error(module, batches, exact, numbers)
    print(f"{wrong:6.1%}  all in w4a8, {how}" + (", but for four in int8" if len(policy.rules) > 1 else ""))

"""hf:<config.json>: from a configuration file, without a hub, weights or foreign code."""

import json

import numpy as np
import pytest
import torch

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.interpret import interpret
from siliform.models import Request, build_graph, prepare, spec_named

BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 99,
}


def written(folder, values):
    path = folder / "config.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return f"hf:{path}"


def test_a_file_or_its_folder_names_the_model(tmp_path):
    name = written(tmp_path, BERT)
    for given in (name, f"hf:{tmp_path}"):
        spec = spec_named(given)
        assert spec.name == tmp_path.name
        assert spec.format == "fp32"
        assert type(prepare(spec).module).__name__ == "BertModel"


def test_the_architecture_in_the_file_is_built(tmp_path):
    name = written(tmp_path, BERT | {"architectures": ["BertForMaskedLM"], "dtype": "bfloat16"})
    module = prepare(name).module
    assert type(module).__name__ == "BertForMaskedLM"
    assert str(module.dtype) == "torch.bfloat16"


@pytest.mark.parametrize(
    ("values", "built"),
    [
        ({"model_type": "mistral", "sliding_window": 8}, "MistralForCausalLM"),
        ({"model_type": "t5"}, "T5ForConditionalGeneration"),
        ({"model_type": "bart"}, "BartForConditionalGeneration"),
        ({"model_type": "whisper"}, "WhisperForConditionalGeneration"),
        ({"model_type": "clip"}, "CLIPModel"),
        ({"model_type": "hubert"}, "HubertForSequenceClassification"),
        ({"model_type": "convnext"}, "ConvNextForImageClassification"),
        ({"model_type": "mobilebert"}, "MobileBertModel"),
        ({"model_type": "gemma2"}, "Gemma2ForCausalLM"),
    ],
)
def test_without_an_architecture_the_types_best_known_class_is_built(tmp_path, values, built):
    assert type(prepare(written(tmp_path, values)).module).__name__ == built


def test_code_beside_a_configuration_is_never_loaded(tmp_path):
    (tmp_path / "modeling_evil.py").write_text("raise SystemExit('loaded')")
    values = BERT | {"auto_map": {"AutoModel": "modeling_evil.EvilModel"}}
    assert type(prepare(written(tmp_path, values)).module).__name__ == "BertModel"


def refusal(name, request=None):
    with pytest.raises(UserError) as refused:
        prepare(name, request)
    return refused.value


def test_a_missing_file_names_what_is_there(tmp_path):
    (tmp_path / "konfig.json").write_text("{}")
    told = refusal(f"hf:{tmp_path}/config.json")
    assert told.found.startswith(f"no file {tmp_path}/config.json")
    assert "nothing is downloaded" in told.found
    assert told.next_step.endswith("in that folder there are konfig.json")


def test_a_hub_name_is_not_looked_up():
    told = refusal("hf:google-bert/bert-base-uncased")
    assert "names of the hub are not looked up" in told.found


def test_bad_json_names_the_line(tmp_path):
    told = refusal(written(tmp_path, '{"model_type": "bert",\n "hidden_size": }'))
    assert told.found.startswith("not JSON: ")
    assert told.where == f"{tmp_path}/config.json:2"


def test_json_must_be_an_object(tmp_path):
    assert refusal(written(tmp_path, "[1]")).found == "JSON, but a list instead of an object"


def test_a_missing_type_is_told(tmp_path):
    told = refusal(written(tmp_path, {"hidden_size": 8}))
    assert told.found == "the configuration has no 'model_type'"


def test_an_unknown_type_is_told_with_the_nearest(tmp_path):
    told = refusal(written(tmp_path, {"model_type": "lama"}))
    assert told.asked == "a model of the type 'lama'"
    assert "code that comes with a checkpoint is never run" in told.found
    assert "llama" in told.next_step
    assert told.where == f"{tmp_path}/config.json"


def test_an_unknown_architecture_is_told(tmp_path):
    told = refusal(written(tmp_path, BERT | {"architectures": ["BertForMagic"]}))
    assert told.asked == "the model class 'BertForMagic'"


def test_a_value_that_the_class_refuses_is_told(tmp_path):
    told = refusal(written(tmp_path, BERT | {"hidden_size": "wide"}))
    assert told.asked == "a configuration of the type 'bert'"
    assert "hidden_size" in told.found


def test_sizes_that_do_not_fit_together_are_told(tmp_path):
    told = refusal(written(tmp_path, BERT | {"num_attention_heads": 5}))
    assert told.asked == "AutoModel from a configuration of the type 'bert'"
    assert "32" in told.found
    assert told.where == f"{tmp_path}/config.json"


def test_an_unknown_dtype_is_told(tmp_path):
    told = refusal(written(tmp_path, BERT | {"dtype": "float7"}))
    assert told.next_step == "use one of float32, float16, bfloat16, float64"


def test_the_position_table_of_a_file_is_respected(tmp_path):
    name = written(tmp_path, BERT | {"max_position_embeddings": 20})
    assert "20 tokens are the maximum" in refusal(name, Request(sequence=21)).found


def test_a_sliding_window_bounds_the_cache(tmp_path):
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "vocab_size": 101,
        "head_dim": 8,
    }
    name = written(tmp_path, {"model_type": "mistral", "sliding_window": 8} | sizes)
    ready = prepare(name, Request(phase="decode", context=30))
    keys = ready.inputs[2]
    assert [tuple(k.shape) for k in keys] == [(1, 2, 7, 8)] * 2


def test_a_model_of_text_and_image_gets_both_where_text_alone_does_not_run(tmp_path):
    towers = prepare(written(tmp_path, {"model_type": "clip"})).kwargs
    assert set(towers) == {"input_ids", "pixel_values"}
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    values = {
        "model_type": "llava",
        "text_config": {"model_type": "llama", "vocab_size": 101} | small,
        "vision_config": {"model_type": "clip_vision_model"} | small,
    }
    assert set(prepare(written(tmp_path, values)).kwargs) == {"input_ids", "use_cache"}


def test_types_with_two_classes_for_a_task_take_the_first(tmp_path):
    values = {"model_type": "deit", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    assert type(prepare(written(tmp_path, values)).module).__name__ == "DeiTForImageClassification"


@pytest.mark.parametrize("model_type", ["mamba", "falcon_mamba"])
def test_a_selective_scan_is_one_node_whatever_the_length(tmp_path, model_type):
    values = {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "state_size": 4,
        "time_step_rank": 2,
        "vocab_size": 101,
    }
    name = written(tmp_path, values)
    graphs = [build_graph(name, Request(sequence=tokens)) for tokens in (8, 64)]
    assert [[n.op.name for n in g.nodes].count("selective_scan") for g in graphs] == [2, 2]
    assert len(graphs[0].nodes) == len(graphs[1].nodes)

    ready = prepare(name, Request(sequence=9), seed=2)
    again = prepare(name, Request(sequence=9), seed=2)
    for part in again.module.modules():
        vars(part).pop("forward", None)  # the library's own, unrolled
    with torch.no_grad():
        ours, theirs = (r.module(**r.kwargs).logits for r in (ready, again))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_recurrent_state_decodes_to_the_same_logits(tmp_path):
    values = {
        "model_type": "mamba",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "state_size": 4,
        "time_step_rank": 2,
        "vocab_size": 101,
    }
    name = written(tmp_path, values)
    request = Request(phase="decode", context=20)
    graph = build_graph(name, request, seed=3)
    ready = prepare(name, request, seed=3)
    token, states = ready.inputs[0], [t for held in ready.inputs[2:] for t in held]
    assert ready.states == ("windows", "recurrences")
    found = interpret(graph, token.numpy(), states=[t.numpy().copy() for t in states])
    with torch.no_grad():
        logits = ready.module(*ready.inputs)[0]
        scored, *after = found  # what is written in place stands behind what is returned
    torch.testing.assert_close(torch.from_numpy(scored), logits, atol=1e-5, rtol=1e-4)
    assert sorted(a.shape for a in after) == sorted(tuple(t.shape) for t in states)
    for state in states:  # the eager step has written them by now
        assert any(np.allclose(a, state.numpy(), atol=1e-5) for a in after if a.shape == state.shape)

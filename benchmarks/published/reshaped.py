"""Sub-networks of machine translation and smaller encoders: parameters of the traced graph.

Tables of embeddings are left out where the paper leaves them out. The decoder's inner widths of DyNAS-T's
sub-network are not printed: they were chosen by its count, so that its row is told as fitted.
"""

from __future__ import annotations

import siliform as sf
from benchmarks.published import Row
from siliform.models import model_named

HAT = "arXiv 2005.14187, HAT, WMT'14 En-De"
#: Source, model, published count as printed, its unit, tolerance, what was fitted.
TRANSLATORS = (
    (
        "DyNAS-T on HAT's space (arXiv 2205.10358, 2005.14187)",
        "hat-dynas-t",
        "39,398,784",
        1,
        0.005,
        "the decoder's inner widths, which are not printed: the count leaves 5120 in sum for them",
    ),
    (HAT, "hat-wmt14-en-de-raspberrypi-6.9s", "48", 10**6, 0.0, ""),
    (HAT, "transformer-big-wmt14-en-de", "176", 10**6, 0.0, ""),
)
MINILM = "arXiv 2002.10957, MiniLM"
ENCODERS = (("minilm-l12-h384", "33"), ("minilm-l6-h384", "22"), ("minilm-l6-h768", "66"))


def rows() -> list[Row]:
    return [*map(_translator, TRANSLATORS), *(_encoder(name, published) for name, published in ENCODERS)]


def _translator(told: tuple[str, str, str, int, float, str]) -> Row:
    source, name, published, unit, tolerance, fitted = told
    values = model_named(name).configuration
    table = values["vocabulary"] * max(values["encoder_width"], values["decoder_width"])
    ours = (sf.trace(name, seq=8).parameter_count - table) / unit
    what, rule = name, "weights, biases and norms, without the table of embeddings"
    counted = "parameters" if unit == 1 else "M parameters"
    return Row(source, what, counted, published, ours, tolerance, rule, fitted=fitted)


def _encoder(name: str, published: str) -> Row:
    counted = ("embeddings.word_embeddings", "encoder.layer.")
    graph = sf.trace(name, seq=8)
    ours = sum(value.type.elements for value in graph.parameters if value.name.startswith(counted)) / 1e6
    rule = "table of words and layers; without positions, token types and pooler"
    return Row(MINILM, name, "M parameters", published, ours, 0.0, rule)

"""What docs/does-it-pay.md says in figures between its tables: each phrase as it has to stand there.

python -m benchmarks.pay_prose    print them, and which the page lacks
"""

from __future__ import annotations

from collections.abc import Iterator

import siliform as sf
from benchmarks.does_it_pay import PAGE, Case, costed, graph
from benchmarks.published.ecoformer import ADD_PJ, MULTIPLY_PJ
from siliform.arch.tech.tables import dram_pj_per_bit, energies_pj
from siliform.simulator.report import Part, Report


def missing() -> list[str]:
    """Phrases that the page does not have, wherever its lines end."""
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    return [phrase for phrase in phrases() if phrase not in text]


def phrases() -> Iterator[str]:
    """Every phrase, with a space for each end of a line."""
    yield from _hash_attention()
    yield from _balance()
    yield from _few_bits()
    yield from _look_ups()
    yield from _routing()


def _hash_attention() -> Iterator[str]:
    engine, twin = "ecoformer-edge", "ecoformer-edge-systolic"
    ours, full = costed(Case("pvtv2-b0-ecoformer", engine)), costed(Case("pvtv2-b0-full-attention", twin))
    spelt, published = costed(Case("pvtv2-b0-ecoformer", twin)), costed(Case("pvt-v2-b0", twin))
    saved, on_twin = 1 - ours.energy_j / full.energy_j, 1 - spelt.energy_j / full.energy_j
    yield f"a multiplication is {MULTIPLY_PJ} pJ, an addition {ADD_PJ} pJ"
    shorter = 1 - ours.latency_s / full.latency_s
    yield f"{_share(saved)} of the energy and {_share(shorter)} of the time is saved"
    yield f"{_share(on_twin / saved)} of the saving is there on the twin"
    yield f"On the twin it takes {_milli(published.energy_j)} mJ and {_milli(published.latency_s)} ms"
    yield f"on its engine {_milli(ours.energy_j)} mJ and {_milli(ours.latency_s)} ms"
    parts = [p for p in _report(Case("pvtv2-b0-full-attention", twin)).parts if ".mixer" in p.module]
    arithmetic, multiply_j = _energy(parts, "compute"), energies_pj()["mul", "int8"].value * 1e-12
    yield f"attention parts is {_share(arithmetic / _energy(parts))} of the energy that they take"
    yield f"multiplications are {_share(sum(p.macs for p in parts) * multiply_j / arithmetic)} of that"


def _balance() -> Iterator[str]:
    """How far DRAM and array are apart in the fused block of full attention at the greatest length."""

    def over(design: str) -> float:
        parts = _report(Case("mixer:softmax", design, None, 65536)).parts
        block = max(parts, key=lambda part: part.cycles)
        return block.memory_cycles / block.compute_cycles - 1

    yield f"DRAM takes {_share(over('ecoformer-edge'), 1)} more cycles than the array"
    yield f"on the twin {_share(-over('ecoformer-edge-systolic'), 1)} fewer"


def _few_bits() -> Iterator[str]:
    unit, twin = "binary-edge", "binary-edge-systolic"
    wide = costed(Case("bert-base", twin, "int8", 128))
    on_unit, on_twin = (Case("bert-base-bit", design, "w1e1a1", 128) for design in (unit, twin))
    bits, spelt = costed(on_unit), costed(on_twin)
    yield (
        f"it is {wide.latency_s / bits.latency_s:.3g} times as fast as int8 on the twin for "
        f"{_share(bits.energy_j / wide.energy_j)} of the energy"
    )
    yield f"is {wide.latency_s / spelt.latency_s:.3g} times as fast"
    yield f"already saves {_share(1 - spelt.energy_j / wide.energy_j)} of the energy"
    products = [
        1e3 * _energy([p for p in _report(case).parts if p.macs], "compute") for case in (on_twin, on_unit)
    ]
    yield "costs one of int8, {:.1f} mJ in all, and {:.2f} mJ on the unit".format(*products)
    report = _report(on_unit)
    rest = sum(part.cycles for part in report.parts if part.kind != "matmul") / report.cycles
    yield f"{_share(rest)} of the time that is left on the unit"
    for name in ("w1e1a2", "w2e2a8"):
        slow, fast = (costed(Case("bert-base-bit", design, name, 128)).latency_s for design in (unit, twin))
        yield f"take {slow / fast:.1f} times as long as on the twin"


def _look_ups() -> Iterator[str]:
    case, old_case = _block(""), _block("-baseline", "-systolic")
    ours, theirs = _report(case), _report(old_case)
    yield f"has {_share(ours.macs / theirs.macs)} of the multiplications"
    yield f"{ours.weight_bytes / 1e6:.0f} MB for the block of width 512"
    yield f"baseline does for some {8e12 * _energy(theirs.parts) / theirs.macs:.0f} pJ"
    yield f"the byte alone costs {8 * dram_pj_per_bit()['LPDDR4'].value:.0f} pJ from LPDDR4"
    new, old = costed(case), costed(old_case)
    yield (
        f"{new.dram_bytes / old.dram_bytes:.3g} times the DRAM traffic, "
        f"{new.latency_s / old.latency_s:.3g} times the time, "
        f"{new.energy_j / old.energy_j:.3g} times the energy"
    )
    cycles = sum(part.cycles for part in ours.parts if part.op.startswith("hash_lookup"))
    yield f"which take {1e3 * cycles / ours.clock_hz:.0f} ms"


def _block(rest: str, twin: str = "") -> Case:
    return Case(f"memoryformer-tiny{rest}", f"lut-edge{twin}", None, 2048)


def _routing() -> Iterator[str]:
    def faster(name: str, tokens: int) -> str:
        ours = costed(Case(f"mixer:{name}", "routing-edge", None, tokens))
        full = costed(Case("mixer:softmax", "routing-edge-systolic", None, tokens))
        return f"{full.latency_s / ours.latency_s:.3g}"

    few, many = ([faster(name, tokens) for name in ("biformer", "routing")] for tokens in (4096, 65536))
    yield "win by {} and {} times at 4,096 tokens".format(*few)
    yield "by {} and {} times at 65,536".format(*many)
    yield f"{faster('landmark', 4096)} times as fast as full attention at 4,096 tokens"
    longer = [faster("landmark", tokens) for tokens in (16384, 65536)]
    yield "{} times at 16,384, and wins by {} times at 65,536".format(*longer)
    names = ("biformer", "routing", "landmark")
    lines = [costed(Case(f"mixer:{n}", "routing-edge", None, t)) for n in names for t in (4096, 16384, 65536)]
    yield f"it takes {_share(max(found.calibrated.get('topk', 0) for found in lines))} of the cycles"


def _report(case: Case) -> Report:
    return sf.estimate(graph(case.model, case.sequence), sf.accelerator(case.design), bits=case.bits)


def _energy(parts: list[Part] | tuple[Part, ...], cause: str | None = None) -> float:
    held = [part.energy_by_cause_j or {} for part in parts]
    return sum(e[cause] if cause else sum(e.values()) for e in held)


def _milli(value: float) -> str:
    return f"{value * 1e3:.3g}"


def _share(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f} %"


def main() -> None:
    lacking = missing()
    for phrase in phrases():
        print(f"{'missing' if phrase in lacking else 'there  '}  {phrase}")


if __name__ == "__main__":
    main()

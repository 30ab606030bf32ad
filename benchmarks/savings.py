"""What a search saves over the full int8 network at no loss of accuracy, judged again on other examples.

    siliform sweep examples/vit-joint.toml --out out/vit
    python -m benchmarks.savings examples/vit-joint.toml out/vit [--loss 0 0.01 0.02] [--json]

The base is the network at its fullest in int8 on the study's design as it is. Of the designs that a sweep
measured, those count whose accuracy is at least the base's, less the loss allowed, on the examples that the
search saw; the fastest of them, the one with the fewest weight bytes and that with the least energy are
told. What was picked for its accuracy flatters itself, so base and picks are judged once more: the supernet
on its test images, the MiniLM on those of 2,000 texts that the search did not see, by McNemar's paired test.
SimQ-NAS (arXiv 2312.13301) reports up to 4.80 x in latency and 3.44 x in size on other networks, data and
machines.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from siliform.dse.codesign import CoDesign
from siliform.dse.store import Store
from siliform.dse.studyfile import StudyFile, read_study
from siliform.simulator.estimate import estimate
from siliform.studies import Source

#: What is saved, in the order told.
SAVED = ("latency_s", "weight_bytes", "energy_j")
#: Texts of the last judgement of a MiniLM, from which those are left out that the search picked by.
TEXTS = 2000


def base_of(problem: CoDesign) -> dict[str, Any]:
    """The full network on the design as it is: its choices and quantities."""
    choices = dict(problem.model.full())
    report = estimate(
        problem.model.graph(choices), problem.hardware.base, bits="traced", objective=problem.objective
    )
    costs = {name: getattr(report, name) for name in SAVED}
    return {"choices": choices, **costs, **problem.model.measure(choices)}


def picks(problem: CoDesign, folder: Path, base: Mapping[str, Any], loss: float) -> dict[str, dict[str, Any]]:
    """The best design of the store in each quantity, of those as accurate as the base less a loss."""
    with Store.read(folder) as store:
        table, quantities = store.table(), (*problem.quantities, *problem.measured)
    columns = dict(zip(quantities, table.records.values.T, strict=True))
    able = (table.records.violations == 0) & (columns["accuracy"] >= base["accuracy"] - loss)
    found: dict[str, dict[str, Any]] = {}
    for name in SAVED if able.any() else ():
        place = int(np.argmin(np.where(able, columns[name], np.inf)))
        network, hardware = problem.choices(table.rows[place])
        values = {key: float(columns[key][place]) for key in (*SAVED, "accuracy")}
        found[name] = {"choices": network, "hardware": hardware, **values, "of": int(able.sum())}
    return found


def judged_again(
    file: StudyFile, problem: CoDesign, base: dict[str, Any], pick: dict[str, Any]
) -> dict[str, Any]:
    """Both accuracies on examples that the search did not pick by, and the paired test where there is one."""
    network: Any = problem.model
    if file.network.get("kind") == "minilm":
        from siliform.models.minilm import MiniLM
        from siliform.models.statistics import difference, mcnemar

        options = {key: value for key, value in file.network.items() if key != "kind"}
        whole = MiniLM(**(options | {"examples": TEXTS}))
        seen = network.examples
        first, second = (whole.correct(one["choices"])[seen:] for one in (base, pick))
        gap = difference(first, second)
        return {
            "examples": len(first),
            "base": float(first.mean()),
            "pick": float(second.mean()),
            "difference": [gap.low, gap.value, gap.high],
            "mcnemar_p": mcnemar(first, second),
        }
    first, second = network.test_accuracy(base["choices"]), network.test_accuracy(pick["choices"])
    return {
        "base": [first[key] for key in ("accuracy_low", "accuracy", "accuracy_high")],
        "pick": [second[key] for key in ("accuracy_low", "accuracy", "accuracy_high")],
    }


def main() -> None:
    """Print what a finished sweep saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("folder", type=Path, help="--out of the sweep")
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0], help="of accuracy that is allowed")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    file = read_study(given.study)
    problem = Source(file, given.folder)()
    base = base_of(problem)
    told = {loss: picks(problem, given.folder, base, loss) for loss in given.loss}
    for pick in (pick for found in told.values() for pick in found.values()):
        pick["again"] = judged_again(file, problem, base, pick)
    if given.json:
        print(json.dumps({"base": base, "picks": {str(loss): found for loss, found in told.items()}}))
        return
    print(f"base: accuracy {base['accuracy']:.3f}, " + ", ".join(f"{n} {base[n]:.4g}" for n in SAVED))
    for loss, found in told.items():
        print(f"accuracy at most {loss:g} lower: {next(iter(found.values()))['of'] if found else 0} designs")
        for name, pick in found.items():
            ratios = ", ".join(f"{n} {base[n] / pick[n]:.2f} x" for n in SAVED)
            print(f"  least {name}: accuracy {pick['accuracy']:.3f}; saves {ratios}; again {pick['again']}")


if __name__ == "__main__":
    main()

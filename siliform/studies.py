"""Studies: where a study file, the networks of `models` and the search of `dse` meet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from siliform.console import make_folder, writing
from siliform.graph_ir.errors import UserError, nearest

if TYPE_CHECKING:
    from siliform.dse.codesign import CoDesign
    from siliform.dse.engines import Engine
    from siliform.dse.outcome import Listener, Outcome
    from siliform.dse.problem import Network, Tell
    from siliform.dse.studyfile import StudyFile

#: Kinds of ``[network]``, and what each is.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "model": "a model by name, without weights: costs only, or the user's own accuracy",
        "vit-supernet": "a weight-sharing vision transformer, trained when the study starts; real accuracy",
        "minilm": "a pretrained MiniLM with post-training quantisation; real accuracy",
        "py:FILE.py:CALLABLE": "the user's own: the callable returns a Network (see siliform.dse.problem)",
    }
)
#: Keys of ``[network]`` with ``kind = "model"``: sizes of `models.Request`, and the rest.
_SIZES = ("phase", "sequence", "batch", "context", "image_pixels", "tokens_merged")
_MODEL_KEYS = ("kind", "model", "bits", "accuracy", "measures", *_SIZES)


@dataclass(frozen=True)
class Source:
    """A study file with what the caller changes, and the folder of its results: how a worker finds it all.

    Calling it makes the problem; the network's weights must lie in the folder by then, or are made there.
    """

    file: StudyFile
    folder: Path

    def __call__(self) -> CoDesign:
        """The problem, ready to cost and to measure."""
        return self.made(lambda _what, _done, _of: None)

    def made(self, progress: Tell) -> CoDesign:
        """The problem; `progress` is told of what its network must learn first."""
        problem = problem_of_file(self.file)
        if problem.measured:
            problem.model.prepare(self.folder, progress)
        return problem


def problem_of_file(file: StudyFile) -> CoDesign:
    """What a study evaluates, its network not yet trained.

    Raises
    ------
    UserError : an unknown kind of network, argument, design, knob or quantity; with the file's line.
    """
    from siliform.dse.gather import problem_of

    network, measures = _network(file)
    return problem_of(file, network, measures=measures)


def search(
    study: str | Path | StudyFile,
    out: str | Path,
    *,
    jobs: int = 1,
    executor: str = "local",
    address: str | None = None,
    resume: bool = False,
    budget: int | str | None = None,
    engine: str | None = None,
    seed: int | None = None,
    confirm: int | None = None,
    report: bool = False,
    listener: Listener | None = None,
    progress: Tell = lambda _what, _done, _of: None,
) -> Outcome:
    """Run a study, and report on it: what `siliform.search` and ``siliform sweep`` both do.

    `progress` is told of what takes long before the search and after it; the rest is `siliform.search`'s.
    """
    from siliform.dse.runner import run_study
    from siliform.dse.studyfile import read_study

    file = study if not isinstance(study, str | Path) else read_study(study)
    file = changed(file, budget=budget, engine=engine, seed=seed, confirm=confirm)
    problem = problem_of_file(file)
    # An engine that asks every point asks the baseline as well, in its place.
    start = None if file.study.engine == "exhaustive" else problem.baseline[None, :]
    asking = _engine(file, problem, start)
    folder = Path(out)
    make_folder("--out", folder)

    subject = {**file.study.subject, "contents": contents(file, problem)}
    outcome = run_study(
        replace(file.study, subject=subject),
        Source(file, folder),
        folder,
        jobs=jobs,
        executor=executor,
        address=address,
        resume=resume,
        listener=listener,
        start=start,
        engine=asking,
        problem=problem,
        # What is to be trained is trained once, here, before there are workers.
        prepare=partial(problem.model.prepare, folder, progress) if problem.measured else None,
    )
    if not report:
        return outcome
    from siliform.sweepreport import write_sweep_report

    with writing("--out", folder):
        return write_sweep_report(file, folder, outcome, progress)


def _engine(file: StudyFile, problem: CoDesign, start: Any) -> Engine:
    """The engine that a study names; what it refuses is told with the file's line."""
    from siliform.dse.engines import engine_named

    study = file.study
    try:
        return engine_named(
            study.engine, problem.space, len(study.objectives), study.seed, study.options, start=start
        )
    except UserError as error:
        if error.where.startswith("engine."):
            raise file.located(error, *error.where.split(".")) from error
        raise


def contents(file: StudyFile, problem: CoDesign) -> dict[str, str]:
    """Digests of what a study only names: its design, the user's files, what weights were trained from.

    A store holds answers about these: were one of them edited, a study that goes on would mix two problems.
    """
    from siliform.arch.design import design_toml, load_design

    found = {"design": design_toml(load_design(file.design)).encode()}
    for key, value in file.network.items():
        name = _beside(file, value) if isinstance(value, str) else ""
        path = Path(name.removeprefix("py:").rpartition(":")[0] if name.startswith("py:") else name)
        if path.is_file():
            found[f"network.{key}"] = path.read_bytes()
    recipe = getattr(problem.model, "recipe_text", None)
    if problem.measured and isinstance(recipe, str):
        found["weights"] = recipe.encode()
    return {name: sha256(content).hexdigest()[:16] for name, content in found.items()}


def changed(
    file: StudyFile,
    *,
    budget: int | str | None = None,
    engine: str | None = None,
    seed: int | None = None,
    confirm: int | None = None,
) -> StudyFile:
    """The same file with other values of its study, where they are given.

    Raises
    ------
    UserError : a budget that is none, an unknown engine, a seed or a number of designs below 0.
    """
    from siliform.dse.engines import options_of
    from siliform.dse.study import Budget
    from siliform.dse.studyfile import located

    given: dict[str, Any] = {}
    if budget is not None:
        given["budget"] = Budget.parse(budget)
    if engine is not None:
        try:
            options_of(engine)
        except UserError as error:
            raise located(error, "--engine") from error
        given["engine"] = engine
        if engine != file.study.engine:
            given["options"] = {}  # those of another engine
    for name, value in (("seed", seed), ("confirm", confirm)):
        if value is not None:
            if value < 0:
                raise UserError(
                    asked=f"a search with {name} {value}",
                    found="a number below 0",
                    where=f"--{name}",
                    next_step="give a whole number of 0 or more",
                )
            given[name] = value
    return replace(file, study=replace(file.study, **given))


# -- networks ----------------------------------------------------------------------------------------


def _network(file: StudyFile) -> tuple[Network, tuple[str, ...]]:
    """The network of a study file, and what it can measure."""
    from siliform.dse.gather import ACCURACIES

    given = dict(file.network)
    kind = given.pop("kind", "model")
    place = file.place("network", "kind")
    if not isinstance(kind, str):
        raise _refused(f"kind = {kind!r}", place, f"one of {', '.join(KINDS)}")
    if kind == "model":
        return _model(file, given)
    if kind.startswith("py:"):
        return _of_user(file, kind, given)
    makers: Mapping[str, Callable[[], Callable[..., Any]]] = {"vit-supernet": _vit, "minilm": _minilm}
    if kind not in makers:
        raise _refused(f"kind = {kind!r}", place, f"one of the nearest: {nearest(kind, KINDS)}")
    made: Network = _called(makers[kind](), given, file, kind)
    return made, ACCURACIES


def _vit() -> Callable[..., Any]:
    from siliform.models.supernet import VitSupernet

    return VitSupernet


def _minilm() -> Callable[..., Any]:
    from siliform.models.minilm import MiniLM

    return MiniLM


def _model(file: StudyFile, given: dict[str, Any]) -> tuple[Network, tuple[str, ...]]:
    from siliform.arch.design import load_design
    from siliform.models.searched import CatalogueNetwork

    for key in given:
        if key not in _MODEL_KEYS:
            raise _refused(f"the key {key!r}", file.place("network", key), f"one of {', '.join(_MODEL_KEYS)}")
    if not isinstance(given.get("model"), str):
        raise _refused("no model", file.place("network"), 'a model by name, such as model = "bert-base"')
    bits = given.get("bits") or load_design(file.design, dict(file.overrides)).native_bits or "traced"
    sizes = {key: given[key] for key in _SIZES if key in given}
    accuracy = str(given.get("accuracy", ""))
    if accuracy.startswith("py:"):
        accuracy = _beside(file, accuracy)
    model = given["model"]
    model = _beside(file, model) if model.startswith(("py:", "hf:")) or model.endswith(".graph") else model
    measures = tuple(given.get("measures", ("accuracy",))) if accuracy else ()
    return _called(partial(CatalogueNetwork, model, sizes, bits, accuracy), {}, file, "model"), measures


def _of_user(file: StudyFile, kind: str, given: dict[str, Any]) -> tuple[Network, tuple[str, ...]]:
    from siliform.models.user import UserNetwork, user_callable

    measures = tuple(given.pop("measures", ("accuracy",)))
    name = _beside(file, kind)
    made = _called(user_callable(name), given, file, kind)
    return UserNetwork(made, name, measures), measures


def _beside(file: StudyFile, name: str) -> str:
    """A name with its path taken from the study file's folder, where it is relative and lies there."""
    prefix, path = (name[:3], name[3:]) if name.startswith(("py:", "hf:")) else ("", name)
    first, colon, rest = path.partition(":")
    here = file.folder / first
    return f"{prefix}{here}{colon}{rest}" if here.exists() else name


def _called(make: Callable[..., Any], given: Mapping[str, Any], file: StudyFile, kind: str) -> Any:
    """Make a network; arguments that it does not take are told with the line of ``[network]``."""
    known = inspect.signature(make).parameters
    try:
        inspect.signature(make).bind(**given)
    except TypeError as error:
        raise _refused(
            str(error), file.place("network"), f"arguments of {kind}: {', '.join(known)}"
        ) from None
    try:
        return make(**given)
    except UserError as error:
        raise UserError(
            asked=error.asked,
            found=error.found,
            where=f"{file.place('network')}: {error.where}",
            next_step=error.next_step,
        ) from error


def _refused(found: str, where: str, allowed: str) -> UserError:
    return UserError(asked="the network of the study", found=found, where=where, next_step=f"give {allowed}")

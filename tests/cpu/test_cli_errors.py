"""What a user may get wrong on the command line: exit status 2, four parts on stderr, nothing on stdout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from siliform.cli import main

ROOT = Path(__file__).parents[2]
GEMM = ("estimate", "--model", "gemm:16,16,16,int8", "--design")
EDGE = (*GEMM, "edge-32x32")
TINY = tuple(
    word
    for memory in ("scratchpad", "accumulator")
    for value in ("bytes=64", "banks=1")
    for word in ("--set", f"{memory}.{value}")
)
ON_EDGE = ("--design", "edge-32x32")

DATA_DEPENDENT = """\
import torch


class Gate(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x


def make():
    return Gate(), (torch.ones(3),)


def wrong():
    return 3


def broken():
    return 1 / 0
"""

#: Files that the cases find in their folder.
FILES = {
    "unclosed.toml": 'name = "x"\n[units.array\n',
    "policy.toml": '[[rule]]\nweigth = "int8"\n',
    "mine.py": DATA_DEPENDENT,
    "broken.json": '{"model_type": ',
    "odd.json": '{"model_type": "zork"}',
    "list.json": "[]",
    "broken.graph": 'graph "a" {\n  input %x : fp32[2\n}\n',
    "unknown.graph": 'graph "a" {\n  input %x : fp32[2]\n  %y : fp32[2] = frobnicate(%x)\n  return %y\n}\n',
    "sine.graph": 'graph "a" {\n  input %x : fp32[2]\n  %y : fp32[2] = sin(%x)\n  return %y\n}\n',
    "mixed.graph": 'graph "a" {\n  input %q : fp32[1,2,256,64]\n'
    "  %y : fp32[1,2,256,64] = attention(%q, %q, %q)\n  return %y\n}\n",
    "file": "",
}

#: What is typed; then a fragment of each part: asked, found, where, next.
CASES: dict[str, tuple[tuple[str, ...], str, str, str, str]] = {
    # -- models
    "model": (
        ("estimate", "--model", "bert-bse", *ON_EDGE),
        "the model 'bert-bse'",
        "no built-in model of that name",
        "--model",
        "bert-base",
    ),
    "gemm-two-sizes": (
        ("estimate", "--model", "gemm:1,2", *ON_EDGE),
        "the product 'gemm:1,2'",
        "not three whole numbers and perhaps a format",
        "--model",
        "write gemm:M,N,K[,format], such as gemm:128,768,768,int8",
    ),
    "gemm-zero": (
        ("estimate", "--model", "gemm:0,2,3", *ON_EDGE),
        "the product 'gemm:0,2,3'",
        "the size 0, which is less than 1",
        "--model",
        "gemm:M,N,K",
    ),
    "gemm-huge": (
        ("estimate", "--model", f"gemm:{2**31},2,3", *ON_EDGE),
        f"the product 'gemm:{2**31},2,3'",
        f"the size {2**31}, which is more than {2**31 - 1}",
        "--model",
        "gemm:M,N,K",
    ),
    "gemm-format": (
        ("estimate", "--model", "gemm:1,2,3,int9", *ON_EDGE),
        "the number format 'int9'",
        "no format of that name",
        "",
        "int8",
    ),
    "gemm-with-seq": (
        ("estimate", "--model", "gemm:1,2,3", "--seq", "4", *ON_EDGE),
        "gemm:1,2,3 with --seq 4",
        "its sizes are in its name",
        "--seq",
        "leave --seq out",
    ),
    "hf-missing": (
        ("estimate", "--model", "hf:none.json", *ON_EDGE),
        "the model 'hf:none.json'",
        "no file none.json",
        "--model",
        "give the path of a config.json",
    ),
    "hf-not-json": (
        ("estimate", "--model", "hf:broken.json", *ON_EDGE),
        "a configuration from broken.json",
        "not JSON: Expecting value",
        "broken.json:1",
        "correct the file at that place",
    ),
    "hf-list": (
        ("estimate", "--model", "hf:list.json", *ON_EDGE),
        "a configuration from list.json",
        "a list instead of an object",
        "list.json",
        '{"model_type": "bert"',
    ),
    "hf-unknown-type": (
        ("estimate", "--model", "hf:odd.json", *ON_EDGE),
        "a model of the type 'zork'",
        "has no such type",
        "odd.json",
        "py:<file.py>:<callable>",
    ),
    "py-missing": (
        ("estimate", "--model", "py:main.py:make", *ON_EDGE),
        "the model 'py:main.py:make'",
        "no file main.py",
        "--model",
        "in that folder there are mine.py",
    ),
    "py-no-callable": (
        ("trace", "--model", "py:mine.py:mak"),
        "the model 'py:mine.py:mak'",
        "mine.py has no callable 'mak'",
        "mine.py",
        "use one of its own: make",
    ),
    "py-malformed": (
        ("trace", "--model", "py:mine.py"),
        "the model 'py:mine.py'",
        "not of the form py:<file.py>:<callable>",
        "--model",
        "make() returns (module, inputs)",
    ),
    "py-returns": (
        ("trace", "--model", "py:mine.py:wrong"),
        "(module, inputs) from mine.py:wrong",
        "int",
        "mine.py:wrong",
        "return a torch.nn.Module and a tuple of its inputs",
    ),
    "py-raises": (
        ("trace", "--model", "py:mine.py:broken"),
        "broken() of mine.py",
        "ZeroDivisionError: division by zero",
        "mine.py:20",
        "correct the file",
    ),
    "data-dependent-flow": (
        ("estimate", "--model", "py:mine.py:make", *ON_EDGE),
        "a trace of 'make'",
        "data-dependent",
        "mine.py:6",
        "torch.where instead of if",
    ),
    "graph-missing": (
        ("estimate", "--model", "none.graph", *ON_EDGE),
        "the graph in none.graph",
        "No such file",
        "none.graph",
        "give the path of a .graph file",
    ),
    "graph-syntax": (
        ("estimate", "--model", "broken.graph", *ON_EDGE),
        "the graph in broken.graph",
        "'}' where ',' or ']' is expected",
        "broken.graph:3:1",
        "correct that line",
    ),
    "graph-unknown-op": (
        ("estimate", "--model", "unknown.graph", *ON_EDGE),
        "the graph in unknown.graph",
        "the unknown name 'frobnicate' where the name of an op is expected",
        "unknown.graph:3:18",
        "use one of the nearest",
    ),
    # -- sizes and phases
    "seq-zero": (
        ("estimate", "--model", "bert-tiny", "--seq", "0", *ON_EDGE),
        "a sequence of 0",
        "0 is less than 1",
        "--seq",
        "give a whole number of 1 or more",
    ),
    "batch-negative": (
        ("estimate", "--model", "bert-tiny", "--batch", "-2", *ON_EDGE),
        "a batch of -2",
        "-2 is less than 1",
        "--batch",
        "give a whole number of 1 or more",
    ),
    "batch-huge": (
        ("estimate", "--model", "bert-tiny", "--batch", str(10**20), *ON_EDGE),
        f"a batch of {10**20}",
        f"{10**20} is more than {2**31 - 1}",
        "--batch",
        f"give a whole number of {2**31 - 1} or less",
    ),
    "image-zero": (
        ("estimate", "--model", "vit-base", "--image", "0", *ON_EDGE),
        "an image side of 0",
        "0 is less than 1",
        "--image",
        "give a whole number of 1 or more",
    ),
    "seq-beyond-positions": (
        ("estimate", "--model", "gpt2", "--seq", "1025", *ON_EDGE),
        "gpt2 with a sequence of 1025",
        "its position table has 1024 rows",
        "--seq",
        "give 1024 or less",
    ),
    "context-beyond-positions": (
        ("estimate", "--model", "gpt2", "--phase", "decode", "--context", "1024", *ON_EDGE),
        "gpt2 with one new token behind 1024 cached ones",
        "its position table has 1024 rows",
        "--context",
        "give 1023 or less",
    ),
    "phase": (
        ("estimate", "--model", "gpt2", "--phase", "decoding", *ON_EDGE),
        "the phase 'decoding'",
        "no phase of that name",
        "--phase",
        "use decode",
    ),
    "decode-with-seq": (
        ("estimate", "--model", "gpt2", "--phase", "decode", "--seq", "4", *ON_EDGE),
        "decode with a sequence of 4",
        "exactly one new token",
        "--seq",
        "--context 4",
    ),
    "prefill-with-context": (
        ("estimate", "--model", "gpt2", "--context", "4", *ON_EDGE),
        "prefill with 4 cached tokens",
        "prefill starts from an empty cache",
        "--context",
        "--phase decode --context 4",
    ),
    "decode-without-cache": (
        ("estimate", "--model", "bert-tiny", "--phase", "decode", *ON_EDGE),
        "the decode phase of bert-tiny",
        "keeps no cache",
        "--phase decode",
        "--phase prefill",
    ),
    # -- designs
    "design": (
        (*GEMM, "edge-33x33"),
        "the design 'edge-33x33'",
        "no design of that name, and no path that ends in .toml",
        "arch/designs",
        "edge-32x32",
    ),
    "design-missing-file": (
        (*GEMM, "none.toml"),
        "the design file none.toml",
        "No such file",
        "none.toml",
        "give a readable TOML file or one of acceltran-edge",
    ),
    "design-malformed": (
        (*GEMM, "unclosed.toml"),
        "the design in unclosed.toml",
        "text that is no TOML",
        "unclosed.toml:2",
        "correct the line",
    ),
    "design-bad-value": (
        (*GEMM, "negative.toml"),
        "the design in negative.toml",
        "rows = -1",
        "negative.toml:",
        "give a whole number, at least 1 and at most 4096",
    ),
    "design-unknown-key": (
        (*GEMM, "misspelt.toml"),
        "the design in misspelt.toml",
        "rowz",
        "(units.array.rowz)",
        "rows",
    ),
    "set-no-sign": (
        (*EDGE, "--set", "array.rows"),
        "--set array.rows",
        "no KEY=VALUE",
        "--set",
        "such as --set array.rows=16",
    ),
    "set-no-design": (
        ("designs", "--set", "array.rows=3"),
        "--set array.rows=3 on the list of designs",
        "no design to set it on",
        "--set",
        "siliform designs edge-32x32 --set array.rows=3",
    ),
    "set-unknown-unit": (
        (*EDGE, "--set", "matrix.rows=3"),
        "to set 'matrix.rows'",
        "no unit or memory 'matrix'",
        "--set matrix.rows",
        "array",
    ),
    "set-unknown-parameter": (
        (*EDGE, "--set", "array.lines=3"),
        "to set 'array.lines'",
        "no parameter 'lines' of array",
        "--set array.lines",
        "rows, columns, dataflow",
    ),
    "set-not-a-number": (
        (*EDGE, "--set", "array.rows=many"),
        "to set 'array.rows' to 'many'",
        "'many' is no whole number",
        "--set array.rows=many",
        "at least 1 and at most 4096",
    ),
    "set-out-of-range": (
        (*EDGE, "--set", "array.rows=-4"),
        "edge-32x32.toml",
        "rows = -4",
        "--set array.rows=-4",
        "at least 1 and at most 4096",
    ),
    "set-unknown-word": (
        (*EDGE, "--set", "array.dataflow=row-stationary"),
        "edge-32x32",
        "row-stationary",
        "--set array.dataflow=row-stationary",
        "weight-stationary, output-stationary",
    ),
    "too-small-for-any-tile": (
        ("estimate", "--model", "mixed.graph", "--bits", "int8", "--design", "edge-16x16-gemmini", *TINY),
        "attention",
        "bytes",
        "y",
        "at least",
    ),
    "op-without-unit": (
        ("estimate", "--model", "sine.graph", "--bits", "traced", *ON_EDGE, "--set", "special.ops={exp=1}"),
        "sin(fp32[2]) on edge-32x32",
        "not sin",
        "y",
        "the units are array (array), vector (vector), special (special)",
    ),
    # -- choices
    "bits": ((*EDGE, "--bits", "int9"), "--bits int9", "no format of that name", "--bits", "int8"),
    "bits-empty": ((*EDGE, "--bits", ""), "--bits", "no format of that name", "--bits", "int8"),
    "bits-missing-policy": (
        (*EDGE, "--bits", "none.toml"),
        "a quantisation policy",
        "No such file",
        "none.toml",
        "give the path of a policy in TOML",
    ),
    "bits-no-text": (
        (*EDGE, "--bits", "noise.toml"),
        "a quantisation policy",
        "'utf-8' codec can't decode",
        "noise.toml",
        "correct the TOML",
    ),
    "bits-bad-policy": (
        (*EDGE, "--bits", "policy.toml"),
        "a quantisation policy",
        "the key 'weigth'",
        "policy.toml, rule 1",
        "the keys are op, module, weight",
    ),
    "law": ((*EDGE, "--law", "guess"), "--law guess", "no such choice", "command line", "model, bound"),
    "objective": (
        (*EDGE, "--objective", "speed"),
        "--objective speed",
        "no such choice",
        "command line",
        "latency, energy, edp",
    ),
    "depth": ((*EDGE, "--depth", "0"), "--depth 0", "0 is less than 1", "--depth", "leave --depth out"),
    "schema": (
        ("schema", "raport"),
        "the JSON Schema 'raport'",
        "none of that name",
        "siliform schema",
        "report",
    ),
    # -- outputs
    "csv-no-folder": (
        (*EDGE, "--csv", "none/a.csv"),
        "to write none/a.csv",
        "there is no folder none",
        "--csv",
        "mkdir -p none",
    ),
    "csv-folder": ((*EDGE, "--csv", "."), "to write .", ". is a folder", "--csv", "the name of a file"),
    "program-no-folder": (
        (*EDGE, "--program", "none/a.json"),
        "to write none/a.json",
        "there is no folder none",
        "--program",
        "mkdir -p none",
    ),
    "pictures-in-a-file": (
        (*EDGE, "--pictures", "file"),
        "to write file",
        "File exists",
        "--pictures",
        "give a path that can be written",
    ),
    "out-no-folder": (
        ("trace", "--model", "gemm:1,2,3", "--out", "none/a.graph"),
        "to write none/a.graph",
        "there is no folder none",
        "--out",
        "mkdir -p none",
    ),
    "out-folder": (
        ("trace", "--model", "gemm:1,2,3", "--out", "."),
        "to write .",
        ". is a folder",
        "--out",
        "the name of a file in it",
    ),
    "demo-in-a-file": (("demo", "--out", "file"), "to write file", "File exists", "--out", "can be written"),
}


FOUR_PARTS = r"^asked: (.*)\nfound: (.*)\nwhere: (.*)\nnext:  (.*)\n\Z"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with FILES and two designs that are wrong in one line, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "noise.toml").write_bytes(b"\xff\xfe")
    good = (ROOT / "arch/designs/edge-32x32.toml").read_text()
    assert "\nrows = 32" in good
    (tmp_path / "negative.toml").write_text(good.replace("\nrows = 32", "\nrows = -1"))
    (tmp_path / "misspelt.toml").write_text(good.replace("\nrows = 32", "\nrowz = 32"))
    return tmp_path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.usefixtures("folder")
def test_mistake_is_told_in_four_parts(
    case: tuple[tuple[str, ...], str, str, str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, *expected = case
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, ""), err
    assert "Traceback" not in err
    told = re.search(FOUR_PARTS, err, re.DOTALL | re.MULTILINE)
    assert told, err
    for part, fragment in zip(told.groups(), expected, strict=True):
        assert fragment in part, err


#: What the library that parses the command line refuses by itself.
USAGE = {
    "no-command": ((), "Usage: siliform"),
    "unknown-command": (("estimat",), "estimat"),
    "missing-option": (GEMM[:-1], "Missing option '--design'"),
    "unknown-option": ((*EDGE, "--sequence", "4"), "No such option: --sequence"),
    "not-a-number": ((*EDGE, "--seq", "many"), "--seq"),
    "value-left-out": ((*EDGE, "--seq"), "--seq"),
}


@pytest.mark.parametrize(("arguments", "told"), USAGE.values(), ids=USAGE)
def test_misuse_exits_with_2(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert told in err


def siliform(*arguments: str, cwd: Path, **keywords: object) -> subprocess.CompletedProcess[str]:
    """A real process, as a shell would start it."""
    command = [sys.executable, "-m", "siliform", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keywords}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, check=False, **given)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("name", ["design", "design-bad-value", "csv-no-folder"])
def test_a_real_process_tells_the_same(name: str, folder: Path) -> None:
    arguments, asked, found, where, next_step = CASES[name]
    done = siliform(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert [line[:7] for line in done.stderr.splitlines()] == ["asked: ", "found: ", "where: ", "next:  "]
    assert all(part in done.stderr for part in (asked, found, where, next_step))

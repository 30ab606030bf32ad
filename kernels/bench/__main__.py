"""``python -m siliform.kernels.bench``: the bench where the command line's packages are not installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from siliform.graph_ir.errors import UserError
from siliform.kernels.bench.one import LOST
from siliform.kernels.bench.report import told_run
from siliform.kernels.bench.runner import DeviceLost, bench


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked and give the exit status: 0, 1, 2 or `LOST`."""
    parser = argparse.ArgumentParser(prog="python -m siliform.kernels.bench", description=__doc__)
    parser.add_argument("--suite", default="quick", help="quick (the default) or full")
    parser.add_argument("--only", action="append", default=[], metavar="FAMILY", help="repeatable")
    parser.add_argument("--out", type=Path, help="JSON Lines file to append to")
    parser.add_argument("--seconds", type=float, help="nothing begins later than this; the suite's own else")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    given = parser.parse_args(arguments)
    try:
        outcome = bench(
            given.suite,
            given.only,
            given.out,
            lambda line: print(line, file=sys.stderr, flush=True),
            given.seconds,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except DeviceLost as error:
        print(f"the device is lost to this process: {error}\nthe same command goes on", file=sys.stderr)
        return LOST
    run = told_run(outcome, given.suite, given.only)
    sys.stdout.write(json.dumps(run.object, allow_nan=False) + "\n" if given.json else run.text)
    return run.status


if __name__ == "__main__":
    sys.exit(main())

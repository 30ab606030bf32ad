"""Whether Yosys can read a unit, and finds every net driven once and no latch.

As a command: ``python -m siliform.rtl.synthesis.check [UNIT ...]`` checks the first two elaborations of each.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common.design import Design
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.yosys import YosysError, find_yosys

LATCH = re.compile(r"^.*Latch inferred for signal.*$", re.MULTILINE)
PROBLEM = re.compile(r"^Warning: .*(?:no driver|multiple conflicting drivers|logic loop).*$", re.MULTILINE)


def complaints(design: Design) -> str:
    """What Yosys finds wrong with a design; empty where it reads it as a circuit without latches."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        read = Circuit.of(design).read(folder)
        try:
            printed = find_yosys().run([*read, "proc", "check"], folder)
        except YosysError as error:
            return str(error)
    return "\n".join([*LATCH.findall(printed), *PROBLEM.findall(printed)])


def main(kinds: list[str]) -> int:
    """Check the units named, or all; exit status 1 where one has a complaint."""
    failed = False
    for kind in kinds or list(UNITS):
        for unit in unit_named(kind).elaborations()[:2]:
            found = complaints(unit.design())
            failed = failed or bool(found)
            print(f"{kind} {unit.name}: {found or 'read'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

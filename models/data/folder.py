"""Where the data lies, and whether it does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from siliform.graph_ir.errors import UserError
from siliform.models.data.packages import PACKAGES, Package

#: The environment variable that names another folder than the environment's own.
VARIABLE = "SILIFORM_DATA"

#: What fetches everything.
COMMAND = "python -m siliform.models.data"


def root() -> Path:
    """The folder of all data: what SILIFORM_DATA names, else ``share/siliform`` of the environment."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else Path(sys.prefix) / "share" / "siliform"


def is_held(package: Package, folder: Path) -> bool:
    """Whether every member lies below `folder`; a package's folder appears there whole, or not at all."""
    return all((folder / package.folder / member.name).is_file() for member in package.members)


def held(key: str) -> Path:
    """The folder of the package `key` of `PACKAGES`.

    Raises
    ------
    UserError : where it was not fetched.
    """
    package, folder = PACKAGES[key], root()
    if not is_held(package, folder):
        raise UserError(
            asked=package.holds,
            found=f"no {package.folder} in {folder}",
            where=VARIABLE if os.environ.get(VARIABLE) else "the data folder of this environment",
            next_step=f"run `make data`, or `{COMMAND}`: pip fetches it once, {package.bytes / 1e6:.0f} MB",
        )
    return folder / package.folder

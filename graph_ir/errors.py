"""The one error a user's mistake may raise, and its four parts."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what was asked, told in four parts.

    Parameters
    ----------
    asked : what the user wanted, in the user's own words.
    found : what was there instead, with numbers.
    where : the user's source line, file and line of a TOML, or the command-line option.
    next_step : what to do about it.

    The command line prints the four parts and exits with 2; a library user catches one class.
    """

    def __init__(self, *, asked: str, found: str, where: str, next_step: str) -> None:
        self.asked = asked
        self.found = found
        self.where = where
        self.next_step = next_step
        super().__init__(asked, found, where, next_step)

    def __str__(self) -> str:
        return f"asked: {self.asked}\nfound: {self.found}\nwhere: {self.where}\nnext:  {self.next_step}"


#: So many names are told when none is close to what was asked.
MOST_NAMES = 8


def nearest(name: str, known: Iterable[object], limit: int = 3, *, all_of: str = "") -> str:
    """Return the known names closest to `name`, for the last part of an error.

    Where none is close: the first of them, how many more there are, and `all_of`, where all are listed
    (such as "`siliform models` prints all"). Capitals do not matter.
    """
    import difflib

    names = sorted(map(str, known)) if isinstance(known, set | frozenset) else list(map(str, known))
    spelt = {n.lower(): n for n in reversed(names)}
    close = difflib.get_close_matches(name.lower(), sorted(spelt), n=limit, cutoff=0.4)
    if close:
        return ", ".join(spelt[found] for found in close)
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    rest = f" and {len(names) - MOST_NAMES} more"
    return ", ".join(names[:MOST_NAMES]) + rest + (f" ({all_of})" if all_of else "")

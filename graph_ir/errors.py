"""The one error a user's mistake may raise, and its four parts."""

from __future__ import annotations


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


def nearest(name: str, known: object, limit: int = 3) -> str:
    """Return the known names closest to `name`, for the last part of an error."""
    import difflib

    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.4)
    return ", ".join(close) if close else ", ".join(names)

"""How long and how much: mapping, estimate, report and pictures."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'simulator' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.simulator, so that it is loaded once and under one name"
    )

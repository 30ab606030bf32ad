"""The search over networks, bit widths and hardware: spaces, objectives, engines, studies, fronts."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'dse' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.dse, so that it is loaded once and under one name"
    )

"""The same units in silicon. This room opens with the RTL generators and benches."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'rtl' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.rtl, so that it is loaded once and under one name"
    )

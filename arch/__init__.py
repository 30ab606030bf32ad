"""With what: units, memories, technology, accelerators and the compiled Program."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'arch' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.arch, so that it is loaded once and under one name"
    )

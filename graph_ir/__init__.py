"""What is computed: number formats, op specs, the graph, its text form, interpreter and passes."""

if not __name__.startswith("siliform."):
    raise ImportError(
        "the room 'graph_ir' was imported as the top-level package '" + __name__ + "'; "
        "import it as siliform.graph_ir, so that it is loaded once and under one name"
    )

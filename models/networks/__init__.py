"""Published networks, put together from blocks, mixers and reducers; one file per family."""

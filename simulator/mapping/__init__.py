"""Mappings of products and attention onto arrays: which tiles, in which order, at what cost."""

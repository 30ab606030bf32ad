"""Siliform: transformers and the silicon that runs them, designed together."""

__version__ = "0.1.0"

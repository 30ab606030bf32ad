"""A weight-sharing vision transformer, trained once, of which every part is a network of its own."""

from siliform.models.supernet.network import VitSupernet

__all__ = ["VitSupernet"]

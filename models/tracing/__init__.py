"""From a PyTorch module to a Graph, through torch.export."""

from siliform.models.tracing.trace import trace

__all__ = ["trace"]

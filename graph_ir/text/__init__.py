"""The text form of a graph: readable, one node per line, and an exact round trip.

::

    graph "bert" {
      input %ids : int64[1,128]
      weight %w1 : fp32[30522,768]
      %3 : fp32[1,128,768] = embedding(%w1, %ids) {padding_idx = 0} @ "bert.embeddings" from "model.py:41"
      return %3
    }

- ``input``, ``state``, ``weight`` and ``constant`` declare what no node defines, in this order.
- A node: results with their types, ``=``, the op, its operands (``_`` for an optional one left out),
  every attribute as a JSON literal (``Infinity`` and ``NaN`` included; a list stands for a tuple; a
  body is a nested ``graph``), the user's module after ``@`` and source line after ``from``.
- All attributes are printed, also those equal to their default, so that a file keeps its meaning
  when a default changes; on reading, one left out gets its default.
- A name with unusual characters is written as a string: ``%"a b"``.
- ``#`` starts a comment. Comments and layout are not kept.
"""

from siliform.graph_ir.text.parser import parse_graph
from siliform.graph_ir.text.printer import print_graph, print_node

__all__ = ["parse_graph", "print_graph", "print_node"]

"""Products of scaled levels that no matrix unit multiplies: dequantised on their way in, multiplied wide.

The levels cross DRAM as they are stored. On their way to the unit each is multiplied by its scale in fp32
and rounded once to the wide format, which holds every level of the narrow one exactly: all that is lost is
what the scale adds beyond the wide format's significand. Where the design's fastest matrix unit takes such a
format, that is the widest one it takes; else products run in fp32 on lanes. Sums are fp32 either way, and
results keep their types.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from siliform.arch.accelerator import Accelerator
from siliform.arch.technology import multiplier_bits
from siliform.arch.unit import Unit
from siliform.graph_ir.arrays import is_scaled
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import FreshNames, Graph, Node, Value
from siliform.graph_ir.ops import op_named
from siliform.simulator.work import product_formats_of

LANES_FORMAT = "fp32"


def matrix_format(units: tuple[Unit, ...]) -> str | None:
    """The widest float format, of 16 bits or more, that the fastest matrix unit multiplies; None without.

    Of formats of one width the one of the larger range is taken, bf16 before fp16: a scale may be large.
    Units that count bits are no measure of speed here: they take nothing wider.
    """

    def peak(unit: Unit) -> int:
        formats = [
            f for f in getattr(unit, "formats", ()) if format_named(f).kind not in ("binary", "ternary")
        ]
        return max((unit.peak_macs_per_cycle(f, f) for f in formats), default=0)

    fastest = max(units, key=peak)
    formats = [format_named(f) for f in getattr(fastest, "formats", ()) if fastest.peak_macs_per_cycle(f, f)]
    floats = [f for f in formats if f.kind == "float" and f.bits >= 16]
    return max(floats, key=lambda f: (f.bits, f.max)).name if floats else None


def lacks_matrix_unit(node: Node, accelerator: Accelerator) -> bool:
    """Whether no matrix unit multiplies the operands of this product as they are."""
    pairs = [product_formats_of(node, first=True)]
    if node.op.kind == "attention":
        pairs.append(product_formats_of(node, first=False))
    return not all(accelerator.peak_macs_per_cycle(*pair) for pair in pairs)


def product_operands(node: Node) -> tuple[Value, ...]:
    """The operands that a product multiplies."""
    return node.operands[: 3 if node.op.kind == "attention" else 2]


def widened_format(node: Node, accelerator: Accelerator) -> str | None:
    """The format in which a matrix unit takes a product whose levels none takes; None where none does.

    A plain float operand is never rounded: the levels beside it take its format.
    """
    operands = [v.type.format for v in product_operands(node)]
    narrow = [f for f in operands if is_scaled(f)]
    if not narrow or not lacks_matrix_unit(node, accelerator):
        return None
    plain = {f.name for f in operands if not is_scaled(f)}
    wide = plain.pop() if plain else matrix_format(accelerator.units)
    if plain or wide is None or not accelerator.peak_macs_per_cycle(wide, wide):
        return None
    exact = all(multiplier_bits(f.element.name) <= multiplier_bits(wide) for f in narrow)
    return wide if exact else None


def widened(node: Node, accelerator: Accelerator, *, on_lanes: bool = False) -> Node | None:
    """The node with its levels dequantised on their way in, as one fused node; None where nothing changes.

    `on_lanes` widens to fp32 what no matrix unit takes in any format.
    """
    body = node.attributes.get("body")
    inner = body.nodes if isinstance(body, Graph) else (node,)
    given = tuple(dict.fromkeys(node.operands)) if not isinstance(body, Graph) else body.given
    rewriting = _Rewriting(FreshNames(v.name for v in (*given, *(o for n in inner for o in n.outputs))))
    for each in inner:
        wide = widened_format(each, accelerator) if each.macs_dense else None
        scaled = each.macs_dense and any(is_scaled(v.type.format) for v in product_operands(each))
        if wide is None and on_lanes and scaled and lacks_matrix_unit(each, accelerator):
            wide = LANES_FORMAT
        rewriting.take(each, wide)
    if not rewriting.changed:
        return None
    if isinstance(body, Graph):
        whole = replace(body, nodes=tuple(rewriting.nodes))
        operands = node.inputs
    else:
        whole = Graph(f"wide {node.op.name}", given, tuple(rewriting.nodes), node.outputs)
        operands = given
    return Node(
        op_named("fused"), operands, node.outputs, {"body": whole}, node.module, node.source, node.times
    )


@dataclass(eq=False)
class _Rewriting:
    """Nodes of a body in the making, each operand dequantised once."""

    fresh: FreshNames

    def __post_init__(self) -> None:
        self.nodes: list[Node] = []
        self.known: dict[tuple[str, str], Value] = {}
        self.changed = False

    def take(self, node: Node, wide: str | None) -> None:
        """Add a node, its scaled operands in the format `wide` where there is one."""
        if wide is not None:
            multiplied = product_operands(node)
            inputs = tuple(
                self._dequantised(v, wide, node) if v in multiplied and v and is_scaled(v.type.format) else v
                for v in node.inputs
            )
            attributes = {k: v for k, v in node.attributes.items() if k != "numerics"}
            node = replace(node, inputs=inputs, attributes=attributes)
            self.changed = True
        self.nodes.append(node)

    def _dequantised(self, value: Value, wide: str, node: Node) -> Value:
        if (value.name, wide) not in self.known:
            made = self._apply("dequantize", value, node)
            if wide != made.type.format.name:
                made = self._apply("cast", made, node, format=wide)
            self.known[value.name, wide] = made
        return self.known[value.name, wide]

    def _apply(self, op_name: str, value: Value, node: Node, **attributes: str) -> Value:
        op = op_named(op_name)
        (made,) = op.types(value.type, **attributes)
        result = Value(self.fresh(f"{value.name}_{made.format.name}"), made)
        self.nodes.append(Node(op, (value,), (result,), op.complete(attributes), node.module, node.source))
        return result

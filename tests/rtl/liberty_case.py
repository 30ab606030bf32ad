"""A cell library small enough to know by heart: numbers chosen for arithmetic by hand, not from silicon.

A gate takes 0.1 ns to rise and 0.2 ns to fall and 0.01 ns more for every fF (that is, 10 ns a pF) that it
drives; every input pin holds 0.001 pF; slews are 0.1 ns. A toggle costs 0.02 pJ rising and 0.04 pJ falling
within the cell. A flip-flop's clock costs 0.01 pJ an edge, its setup takes 0.3 ns. The supply is 2 V.
"""

from __future__ import annotations

from pathlib import Path

GATE_RISE_NS, GATE_FALL_NS, NS_PER_PF, SETUP_NS, PIN_PF, VOLTS = 0.1, 0.2, 10.0, 0.3, 0.001, 2.0
TOGGLE_PJ, CLOCK_PJ = 0.03, 0.01
GATES = {  # area, function, sense of all its inputs
    "INV": (1.0, "!A", "negative_unate"),
    "BUF": (2.0, "A", "positive_unate"),
    "NAND2": (2.0, "!(A B)", "negative_unate"),
    "NAND2BIG": (3.0, "(A&B)'", "negative_unate"),
    "NOR2": (2.0, "!(A+B)", "negative_unate"),
    "AOI21": (3.0, "!((A*B)|C)", "negative_unate"),
    "OAI21": (3.0, "!((A|B)&C)", "negative_unate"),
    "XOR2": (5.0, "A^B", "non_unate"),
    "XNOR2": (5.0, "!(A^B)", "non_unate"),
}
HEAD = """
/* a library */ library(tiny) {
  time_unit : "10ps"; // so that 10 is a tenth of a nanosecond
  voltage_unit : "1V";  leakage_power_unit : "1nW"; capacitive_load_unit (1, ff);
  nom_voltage : 2.0
  lu_table_template(delays) { variable_1 : total_output_net_capacitance; variable_2 : input_net_transition;
    index_1 ("0, 100"); index_2 ("0, 100"); }
"""
LOADED = 'index_1 ("0, 100"); index_2 ("0, 100"); values ("{0}, {0}", \\\n "{1}, {1}");'


def _arc(related: str, attributes: str) -> str:
    rise, fall = LOADED.format(10, 110), LOADED.format(20, 120)  # tenths of ns, at 0 and at 100 fF
    return (
        f'timing() {{ related_pin : "{related}"; {attributes}\n'
        f"cell_rise(delays) {{ {rise} }} cell_fall(delays) {{ {fall} }}\n"
        f'rise_transition(scalar) {{ values ("10"); }} fall_transition(scalar) {{ values ("10"); }} }}\n'
        # 20 and 40 fF V^2 are 0.02 and 0.04 pJ
        'internal_power() { rise_power(scalar) { values ("20"); } fall_power(scalar) { values ("40"); } }\n'
    )


def _gate(name: str, area: float, function: str, sense: str) -> str:
    inputs = [pin for pin in "ABC" if pin in function]
    pins = "".join(f"pin({pin}) {{ direction : input; capacitance : 1; }}\n" for pin in inputs)
    arcs = "".join(_arc(pin, f"timing_sense : {sense};") for pin in inputs)
    return (
        f"cell({name}) {{ area : {area}; cell_leakage_power : 3;\n{pins}"
        f'pin(Y) {{ direction : output; function : "{function}";\n{arcs} }} }}\n'
    )


def _flip_flop(name: str, area: float, forced: str) -> str:
    clear = f'{forced} : "R\'";' if forced else ""
    pins = "pin(R) { direction : input; capacitance : 1; }" if forced else ""
    setup = (
        'timing() { related_pin : "C"; timing_type : setup_rising;\n'
        'rise_constraint(scalar) { values ("30"); } fall_constraint(scalar) { values ("30"); } }'
    )
    power = 'internal_power() { rise_power(scalar) { values ("10"); } fall_power(scalar) { values ("10"); } }'
    return f"""cell ("{name}") {{ area : {area}; cell_leakage_power : 5
  ff (IQ, IQN) {{ clocked_on : "C"; next_state : "D"; {clear} }}
  pin(C) {{ direction : input; capacitance : 1; clock : true; {power} }}
  pin(D) {{ direction : input; capacitance : 1; {setup} }} {pins}
  pin(Q) {{ direction : output; function : "IQ"; {_arc("C", "timing_type : rising_edge;")} }} }}
"""


def library_text() -> str:
    """The library."""
    gates = "".join(_gate(name, *told) for name, told in GATES.items())
    flip_flops = (
        _flip_flop("DFF", 10.0, "") + _flip_flop("DFFR", 12.0, "clear") + _flip_flop("DFFS", 12.0, "preset")
    )
    return f"{HEAD}{gates}{flip_flops}}}\n"


def write_library(folder: Path) -> Path:
    """The library in a file of that folder."""
    path = folder / "tiny.lib"
    path.write_text(library_text(), encoding="utf-8")
    return path

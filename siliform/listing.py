"""What there is: models, designs and schemas, as tables or JSON."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siliform.console import print_json

#: Where each published schema lies, by its name on the command line.
_SCHEMAS = {
    "report": "simulator/report.schema.json",
    "serving": "simulator/serving.schema.json",
    "design": "arch/designs/schema.json",
    "study": "dse/study.schema.json",
}


def list_designs(as_json: bool) -> None:
    """Every design of the project with its size, rate and area."""
    from siliform.arch.design import design_names, load_design

    rows: list[dict[str, Any]] = []
    for name in design_names():
        chip = load_design(name)
        rows.append(
            {
                "name": name,
                "description": chip.description,
                "clock_hz": chip.clock_hz,
                "native_bits": chip.native_bits,
                "peak_macs_per_second": peak_macs_per_second(chip),
                "scratchpad_bytes": chip.scratchpad.bytes,
                "dram_bytes_per_second": chip.dram.bandwidth_bytes_per_second,
                "area_mm2": chip.area_mm2.value,
                "units": {u.name: u.kind for u in chip.units},
            }
        )
    if as_json:
        print_json({"format": "siliform-designs", "version": 1, "designs": rows})
        return
    print_table(
        ("design", "peak MAC/s", "on-chip", "DRAM", "area", "native", "what it is"),
        [
            (
                str(r["name"]),
                _engineering(r["peak_macs_per_second"], ""),
                f"{r['scratchpad_bytes'] / 2**20:g} MiB",
                _engineering(r["dram_bytes_per_second"], "B/s"),
                "n/a" if r["area_mm2"] is None else f"{r['area_mm2']:.3g} mm²",
                str(r["native_bits"]),
                str(r["description"]),
            )
            for r in rows
        ],
    )


def peak_macs_per_second(chip: Any) -> float:
    """Peak rate on the design's native formats."""
    formats = {f for u in chip.units for f in getattr(u, "formats", ()) if u.peak_macs_per_cycle(f, f)}
    native = chip.native_bits if chip.native_bits in formats else next(iter(sorted(formats)), "int8")
    return float(chip.peak_macs_per_cycle(native) * chip.clock_hz)


def show_design(name: str, overrides: Mapping[str, Any], as_json: bool) -> None:
    """One design whole: its TOML, with overrides applied, or its parameters as JSON."""
    from siliform.arch.design import load_design

    chip = load_design(name, overrides)
    if as_json:
        text = chip.to_toml()
        shown = {"name": chip.name, "description": chip.description, "toml": text}
        print_json({"format": "siliform-design", "version": 1, **shown, "parameters": tomllib.loads(text)})
    else:
        sys.stdout.write(chip.to_toml())


def list_models(as_json: bool) -> None:
    """Every built-in model with its family, format, default input and parameters."""
    from siliform.models import MODELS

    rows = [
        {
            "name": spec.name,
            "family": spec.family,
            "format": spec.format,
            "sequence": spec.sequence,
            "parameters": spec.parameters,
            "source": spec.source,
        }
        for spec in MODELS.values()
    ]
    if as_json:
        print_json({"format": "siliform-models", "version": 1, "models": rows})
        return
    print_table(
        ("model", "family", "format", "--seq", "parameters", "source of the configuration"),
        [
            (
                str(r["name"]),
                str(r["family"]),
                str(r["format"]),
                "fixed" if r["sequence"] is None else str(r["sequence"]),
                "n/a" if r["parameters"] is None else f"{r['parameters']:,}",
                str(r["source"]),
            )
            for r in rows
        ],
    )


def schema(name: str) -> Any:
    """A published JSON Schema, by its name on the command line."""
    path = _SCHEMAS.get(name, f"schemas/{name}.json")
    return json.loads((Path(__file__).parent / path).read_text(encoding="utf-8"))


def _engineering(value: Any, unit: str) -> str:
    from siliform.simulator.tables import engineering

    return engineering(value, unit)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; cells wrap but for the first column's."""
    from rich.table import Table

    from siliform.simulator.tables import wide_console

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in columns[:1])
    for row in rows:
        table.add_row(*row)
    wide_console().print(table)

"""Designs as files: what loads, what is overridden, and what a mistake is told."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from siliform.arch.design import DESIGNS, design_names, line_of, load_design, parse_design
from siliform.arch.schema import json_schema
from siliform.arch.units.array import SystolicArray
from siliform.graph_ir.errors import UserError

EDGE = (DESIGNS / "edge-32x32.toml").read_text()


def told(text: str = EDGE, **overrides: object) -> UserError:
    """The error that a text with overrides ("." written "__") is met with."""
    with pytest.raises(UserError) as caught:
        parse_design(text, {k.replace("__", "."): v for k, v in overrides.items()}, where="my.toml")
    return caught.value


def test_the_designs_that_come_with_it() -> None:
    assert design_names() == (
        "acceltran-edge",
        "binary-edge",
        "binary-edge-systolic",
        "ecoformer-edge",
        "ecoformer-edge-systolic",
        "edge-16x16-gemmini",
        "edge-32x32",
        "lut-edge",
        "lut-edge-systolic",
        "nvidia-a100",
        "nvidia-b200",
        "nvidia-h100",
        "nvidia-h200",
        "nvidia-l40s",
        "routing-edge",
        "routing-edge-systolic",
        "server-128x128",
        "tile-16x16",
        "w4a4-edge",
    )


@pytest.mark.parametrize("name", design_names())
def test_a_design_survives_the_way_to_toml_and_back(name: str) -> None:
    design = load_design(name)
    assert design.name == name
    again = parse_design(design.to_toml())
    assert again == design
    assert hash(again) == hash(design)
    assert again.to_toml() == design.to_toml()


def test_the_published_schema_is_the_generated_one() -> None:
    published = json.loads((DESIGNS / "schema.json").read_text())
    assert published == json.loads(json.dumps(json_schema())), (
        "regenerate: python -m siliform.arch.schema > arch/designs/schema.json"
    )


@pytest.mark.parametrize("name", design_names())
def test_the_schema_accepts_what_loads(name: str) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads((DESIGNS / f"{name}.toml").read_text()), schema)
    jsonschema.validate(tomllib.loads(load_design(name).to_toml()), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rows = 32", "rows = 0"),
        ("rows = 32", "row = 32"),
        ('"weight-stationary"', '"ws"'),
        ("[units.gather]", "[units.mystery]"),
        ("[technology]", "[technologie]"),
    ],
)
def test_the_schema_refuses_what_does_not_load(old: str, new: str) -> None:
    text = EDGE.replace(old, new, 1)
    with pytest.raises(UserError):
        parse_design(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), json_schema())


def test_overrides_take_text_or_values() -> None:
    design = load_design(
        "edge-32x32",
        {
            "array.rows": "16",
            "array.columns": 8,
            "array.formats": "int8,int4",
            "scratchpad.bytes": "512 KiB",
            "scratchpad.double_buffered": "false",
            "dram.bandwidth": "12.8 GB/s",
            "clock": "500 MHz",
            "technology.node_nm": "7",
            "vector.ops": "{ add = 1, mul = 2 }",
            "native_bits": "int4",
        },
    )
    array = design.unit("array")
    assert isinstance(array, SystolicArray)
    assert (array.rows, array.columns, array.formats) == (16, 8, ("int8", "int4"))
    assert (design.scratchpad.bytes, design.scratchpad.double_buffered) == (512 * 1024, False)
    assert design.scratchpad.usable_bytes == 512 * 1024
    assert design.dram.bandwidth_bytes_per_second == 12_800_000_000
    assert (design.clock_hz, design.technology.node_nm) == (500_000_000, 7)
    assert design.unit("vector").scalar_cycles("mul", 64) == 2 + 4
    assert design.native_bits == "int4"


def test_a_unit_may_have_a_name_of_its_own() -> None:
    text = EDGE.replace("[units.gather]", '[units.mover]\ntype = "gather"')
    design = parse_design(text, {"mover.comparators": 3})
    assert [u.name for u in design.of_kind("gather")] == ["mover"]
    assert design.unit("mover").parameters["comparators"].low == 1


def test_a_path_is_a_design_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(EDGE.replace('"edge-32x32"', '"mine"'))
    assert load_design(mine).name == load_design(str(mine)).name == "mine"
    with pytest.raises(UserError) as caught:
        load_design(tmp_path / "other.toml")
    assert str(caught.value).startswith(
        f"asked: the design file {tmp_path / 'other.toml'}\n"
        "found: No such file or directory\n"
        f"where: {tmp_path / 'other.toml'}\n"
        "next:  give a readable TOML file or one of "
    )


# -- mistakes ----------------------------------------------------------------------------------------


def test_an_unknown_design_gets_the_nearest_names() -> None:
    with pytest.raises(UserError) as caught:
        load_design("edge-32x23")
    assert str(caught.value) == (
        "asked: the design 'edge-32x23'\n"
        "found: no design of that name, and no path that ends in .toml\n"
        "where: arch/designs\n"
        "next:  use one of the nearest: edge-32x32, server-128x128, lut-edge"
    )


def test_malformed_toml_is_told_with_its_line() -> None:
    error = told(EDGE.replace("columns = 32", "columns = = 32"))
    line = EDGE.splitlines().index("columns = 32") + 1
    assert error.where == f"my.toml:{line}"
    assert error.found.startswith("text that is no TOML: Invalid value")
    assert error.next_step == "correct the line; https://toml.io shows the syntax"


@pytest.mark.parametrize(
    ("old", "new", "found", "allowed"),
    [
        ("rows = 32", "rows = 0", "rows = 0: input should be greater than or equal to 1", "at least 1 and"),
        ("rows = 32", "rows = 3.5", "rows = 3.5: input should be a valid integer", "a whole number"),
        ("rows = 32", 'rows = "32"', "rows = '32': input should be a valid integer", "a whole number"),
        ("rows = 32", "rows = true", "rows = True: input should be a valid integer", "a whole number"),
        ("rows = 32", "rwos = 32", "the unknown key 'rwos'", "one of the nearest: rows"),
        (
            'dataflow = "weight-stationary"',
            'dataflow = "row-stationary"',
            "dataflow = 'row-stationary': input should be 'weight-stationary', 'output-stationary' or",
            "one of weight-stationary, output-stationary, input-stationary",
        ),
        ('bytes = "1 MiB"', 'bytes = "1 MiX"', "'1 MiX' is no number of bytes", "a whole number of bytes"),
        ('bytes = "1 MiB"', 'bytes = "1.3 B"', "'1.3 B' is no whole number of bytes", "a whole number of"),
        ('bytes = "1 MiB"', 'bytes = "-1 MiB"', 'is no number of bytes: write 1048576, "1 MiB"', "at least"),
        ('clock_hz = "1 GHz"', 'clock_hz = "1 GiHz"', "unknown prefix 'Gi'", "a whole number of hertz"),
        (
            'type = "LPDDR4"',
            'type = "RAM"',
            "type = 'RAM': input should be 'LPDDR3'",
            "one of LPDDR3, LPDDR4",
        ),
        ("lanes = 64", "lanes = 64\nspeed = 1", "the unknown key 'speed'", "one of the nearest"),
    ],
)
def test_a_wrong_value_is_told_with_line_key_and_what_is_allowed(old, new, found, allowed) -> None:
    text = EDGE.replace(old, new, 1)
    error = told(text)
    key = new.splitlines()[-1].split(" ")[0]
    line = next(i for i, each in enumerate(text.splitlines(), 1) if each.startswith(new.splitlines()[-1]))
    assert error.asked == "the design in my.toml"
    assert found in error.found
    assert error.where.startswith(f"my.toml:{line} (")
    assert error.where.endswith(f"{key})")
    assert allowed in error.next_step


@pytest.mark.parametrize(
    ("old", "new", "found", "where", "next_step"),
    [
        (
            "rows = 32\n",
            "",
            "no key 'rows' (cells along the rows' dimension)",
            "(units.array)",
            "rows = a whole",
        ),
        (
            "[memories.dram]",
            "[memories.drum]",
            "the unknown memory 'drum'",
            "(memories.drum)",
            "one of scratch",
        ),
        ("[memories.dram]", "[links.dram]", "no memory 'dram'", "my.toml:1 (memories)", "[memories.dram]"),
        (
            "[units.gather]",
            "[units.mover]",
            "the unit 'mover' of the unknown type 'mover'",
            "(units.mover)",
            "type",
        ),
        ("[technology]\nnode_nm = 45", "", "no key 'technology'", "my.toml:1", "give all of name, clock_hz"),
        (
            "node_nm = 45",
            "node_nm = 44",
            "no scaling factors for that node",
            "(technology.node_nm)",
            "45, 32",
        ),
        ('"int4"', '"int7"', "no format of that name", "(units.array.formats)", "nearest: int8, int5, int4"),
        (
            "banks = 16",
            "banks = 4096\nword_bytes = 4096 #",
            "not one word for each bank",
            "scratchpad.bytes)",
            "16777216",
        ),
    ],
)
def test_a_wrong_shape_of_the_file_is_told(old, new, found, where, next_step) -> None:
    text = EDGE.replace(old, new, 1)
    if "word_bytes = 4096" in new:
        text = text.replace("\nword_bytes = 8", "")
    error = told(text)
    assert found in error.found
    assert where in error.where
    assert next_step in error.next_step


def test_a_wrong_override_is_told_as_one() -> None:
    error = told(array__rows="0")
    assert error.where == "--set array.rows=0"
    assert error.next_step == "give a whole number, at least 1 and at most 4096"
    error = told(array__rows="many")
    assert (error.asked, error.found) == ("to set 'array.rows' to 'many'", "'many' is no whole number")
    error = told(array__row="3")
    assert error.found == "no parameter 'row' of array"
    assert error.next_step == (
        "use one of rows, columns, dataflow, overlap, formats, accumulator_bits, startup_cycles, "
        "weight_density_percent, activation_density_percent"
    )
    error = told(arrya__rows="3")
    assert error.found == "no unit or memory 'arrya' in the design"
    assert "array" in error.next_step
    error = told(registers__bytes="3")
    assert error.found == "no unit or memory 'registers' in the design"
    error = told(speed=3)
    assert error.found == "no parameter 'speed' of the design"
    assert error.next_step.startswith("use one of clock_hz, native_bits; or UNIT.PARAMETER with technology")
    error = told(clock="1 GB")
    assert "is no number of hertz" in error.found
    assert error.where == "--set clock=1 GB"
    error = told(scratchpad__double_buffered="maybe")
    assert error.found == "'maybe' is neither true nor false"


def test_published_figures_have_a_form() -> None:
    assert "value, source" not in told(EDGE + "\n[published.area_mm2]\nvalue = 3.0\n").found
    assert told(EDGE + "\n[published.size]\nvalue = 3.0\n").found == "the unknown figure 'size'"
    error = told(EDGE + '\n[published.energy]\nvalue = 3.0\nsource = "x"\n')
    assert error.next_step == "give a reason only"
    stated = parse_design(EDGE + '\n[published.area_mm2]\nvalue = 3.0\nsource = "a paper"\n')
    assert (stated.area_mm2.value, stated.area_mm2.source) == (3.0, "a paper")


def test_lines_are_found_in_tables_dotted_keys_and_inline_tables() -> None:
    text = 'name = "x"\n[units.array]\nrows = 1\n[units]\nvector.lanes = 3\nspecial = { lanes = 4 }\n'
    assert line_of(text, ("units", "array", "rows")) == 3
    assert line_of(text, ("units", "array", "columns")) == 2
    assert line_of(text, ("units", "vector", "lanes")) == 5
    assert line_of(text, ("units", "special", "lanes")) == 6
    assert line_of(text, ("clock_hz",)) == 1


def test_importing_the_room_stays_light() -> None:
    program = (
        "import sys, siliform.arch.design, siliform.arch.accelerator;"
        "print([m for m in ('torch', 'pandas', 'pydantic', 'numba', 'networkx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "overrides",
    [
        {"tensor.multiprocessors": 54},
        {"scratchpad.bytes": "80 MiB"},
        {"registers.bytes": "13 MiB"},
        {"technology.node_nm": 5},
        {"tensor.multiprocessors": "54", "clock": "1 GHz"},
    ],
)
def test_a_published_area_is_not_that_of_another_die(overrides: dict[str, object]) -> None:
    area = load_design("nvidia-a100", overrides).area_mm2
    key, value = next(iter(overrides.items()))
    assert area.value is None
    assert area.source == f"the published area is that of nvidia-a100 as it is, not with {key}={value}"
    again = parse_design(load_design("nvidia-a100", overrides).to_toml())
    assert again.area_mm2 == area


@pytest.mark.parametrize(
    "overrides",
    [
        {"tensor.multiprocessors": 108, "scratchpad.bytes": "40 MiB"},
        {"tensor.board_watts": 300, "launch.seconds": "2 us", "scratchpad.resident_percent": 30},
        {"clock": "1 GHz", "dram.bandwidth": "1 TB/s", "dram.bytes": "40 GB", "nvlink.bandwidth": "600 GB/s"},
    ],
)
def test_a_published_area_stays_that_of_the_same_die(overrides: dict[str, object]) -> None:
    assert load_design("nvidia-a100", overrides).area_mm2.value == 826.0


def test_a_file_that_is_whole_only_with_what_is_set_has_no_published_area() -> None:
    text = (DESIGNS / "nvidia-a100.toml").read_text().replace("lanes = 6912", "lanes = 0")
    area = parse_design(text, {"cuda.lanes": 6912}).area_mm2
    assert area.source == "the published area is that of nvidia-a100 as it is, not with cuda.lanes=6912"

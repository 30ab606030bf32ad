"""The command line: the verbs of the API, one command each.

Every command takes ``--json`` (one JSON object on stdout, nothing else there; its schema is what
``siliform schema`` prints) and exits with 0 on success, 2 on a user's mistake told in four parts,
and 1 on a fault of ours, with its traceback.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from siliform import (
    commands_arena,
    commands_cluster,
    commands_estimate,
    commands_gpu,
    commands_list,
    commands_rtl,
    commands_rtl_synth,
    commands_serve,
    commands_simulate,
    commands_sweep,
)
from siliform.console import (
    drop_stdout,
    finish_stdout,
    make_folder,
    print_json,
    ready_streams,
    refused_output,
    writing,
)
from siliform.graph_ir.errors import UserError
from siliform.options import Json

#: Exit status of a command stopped by Ctrl-C, and of one whose reader went away, as shells count
#: them: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141

app = typer.Typer(
    name="siliform",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Design transformers and the silicon that runs them together.",
    epilog="""\b
Examples:
  siliform models
  siliform methods
  siliform designs
  siliform estimate --model bert-base --design edge-32x32
  siliform estimate --model gpt2 --design nvidia-a100 --phase decode --context 512
  siliform estimate --model gemm:128,768,768,int8 --design edge-32x32 --set array.rows=16
""",
)


@app.callback(invoke_without_command=True)
def siliform(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        from siliform import __version__

        typer.echo(f"siliform {__version__}")
        raise typer.Exit


commands_estimate.register(app)
commands_list.register(app)


@app.command(
    short_help="BERT-base and Llama-2-7B on three designs, and a search.",
    epilog="""\b
Examples:
  siliform demo
  siliform demo --out report --json
""",
)
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("out/demo"),
    as_json: Json = False,
) -> None:
    """The main job on real transformers: BERT-base and Llama-2-7B on three designs, then a search for a chip
    that runs BERT-base better (some three minutes)."""
    from siliform.demo import run
    from siliform.simulator.tables import wide_console

    make_folder("--out", out)
    with writing("--out", out):
        summary = run(out, wide_console(stderr=as_json))
    if as_json:
        print_json(summary)


commands_simulate.register(app)
commands_serve.register(app)
commands_cluster.register(app)
commands_sweep.register(app)
commands_arena.register(app)
commands_rtl_synth.register(commands_rtl.app)
commands_rtl.register(app)
commands_gpu.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a command and turns what may go wrong into messages and exit statuses."""
    ready_streams()
    try:
        status = app(args=arguments, prog_name="siliform", standalone_mode=False)
        finish_stdout()
    except UserError as error:
        status = _told(error)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        status = PIPE_CLOSED
    except OSError as error:
        refused = refused_output(error)
        status = _told(refused) if refused else _fault()
    except SystemExit as stop:
        # The library that parses the command line answers a closed pipe with exit status 1 by itself.
        status = PIPE_CLOSED if isinstance(stop.__context__, BrokenPipeError) else stop.code
    except Exception as error:
        status = _misused(error) if hasattr(error, "exit_code") else _fault()
    if status == PIPE_CLOSED:
        drop_stdout()
    sys.exit(status or 0)


def _told(error: UserError) -> int:
    sys.stderr.write(f"{error}\n")
    return 2


def _misused(error: Any) -> int:
    """A usage error of the library that parses the command line, known by its exit status."""
    error.show()
    return int(error.exit_code)


def _fault() -> int:
    """An exception that nobody expected: its traceback, and whose it is."""
    import platform
    import traceback

    from siliform import __version__

    traceback.print_exc()
    sys.stderr.write(
        "This is a fault of Siliform, not of your input: please report the lines above with the command and "
        f"its files (siliform {__version__}, Python {platform.python_version()}, {platform.platform()}).\n"
    )
    return 1


if __name__ == "__main__":
    main()

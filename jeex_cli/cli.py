"""The command line: global options, lazily loaded commands, and the one place where errors become exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jeex_cli.errors import Interrupted, JeexError, UsageError
from jeex_cli.help import COMMANDS, overview
from jeex_cli.journal import Journal
from jeex_cli.output import Output

BUG = 70  # exit code for an error that jeex has no name for


class _Commands(TyperGroup):
    """Imports the module of the one command that runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for command in COMMANDS:
            if command.name == cmd_name:
                module = importlib.import_module(f"jeex_cli.commands.{command.module}")
                found = typer.main.get_command(module.app)
                found.name = command.name
                found.epilog = f"Example: {command.example}"
                return found
        return None

    def get_help(self, ctx: Any) -> str:
        return overview().rstrip()


app = typer.Typer(cls=_Commands, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def _root(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Option("--project", metavar="DIR")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q")] = False,
    debug: Annotated[bool, typer.Option("--debug")] = False,
) -> None:
    """One command brings up the whole platform."""
    ctx.obj = {**(ctx.obj or {}), "project": project, "json": json, "quiet": quiet, "debug": debug}


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Nothing escapes but a `--debug` traceback."""
    wants_json = "--json" in arguments or os.environ.get("JEEX_JSON", "") not in ("", "0")
    output = Output(json=wants_json)
    journal = Journal()
    try:
        result = app(list(arguments), prog_name="jeex", standalone_mode=False, obj={"journal": journal})
        if result == Interrupted.exit_code:  # what Typer makes of Ctrl-C
            raise KeyboardInterrupt
    except JeexError as error:
        journal.ended(error.exit_code, error)
        if _debugging(arguments):
            raise
        output.error(error)
        return error.exit_code
    except typer.TyperException as error:
        return _usage(output, error)
    except (KeyboardInterrupt, typer.Abort):
        journal.ended(Interrupted.exit_code)
        output.error(Interrupted("interrupted", hint="run the same command again: it goes on from here"))
        return Interrupted.exit_code
    except BrokenPipeError:
        # The reader (`head`, a pager) has left; Python must not complain about it when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        journal.ended(0)
        return 0
    except Exception as error:
        journal.ended(BUG, JeexError(f"{type(error).__name__}", code="BUG"))
        if _debugging(arguments):
            raise
        return _bug(output, error)
    code = result if isinstance(result, int) else 0
    journal.ended(code)
    return code


def _debugging(arguments: Sequence[str]) -> bool:
    return "--debug" in arguments or os.environ.get("JEEX_DEBUG", "") not in ("", "0")


def _usage(output: Output, error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and not output.json:
        output.stderr.write(error.format_message() + "\n")
        return UsageError.exit_code
    path = context.command_path if context is not None else "jeex"
    output.error(UsageError(error.format_message().strip().rstrip("."), hint=f"{path} --help"))
    return UsageError.exit_code


def _bug(output: Output, error: Exception) -> int:
    import tempfile
    import traceback

    from jeex_cli import __version__

    with tempfile.NamedTemporaryFile("w", prefix="jeex-bug-", suffix=".log", delete=False, encoding="utf-8") as file:
        file.write(f"jeex {__version__}, Python {sys.version}\n")
        traceback.print_exception(error, file=file)
    output.error(
        JeexError(
            f"this is a bug in jeex: {type(error).__name__}",
            code="BUG",
            detail=f"the details are in {Path(file.name)}",
            hint="look through that file, then report it with what you did",
        )
    )
    return BUG

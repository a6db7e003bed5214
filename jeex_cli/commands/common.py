"""What every command shares: its common options, and how it gets its session."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from jeex_cli.journal import Journal
from jeex_cli.output import Output
from jeex_cli.session import Session, open_session

Services = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Some services only.")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="Give up after so long. [JEEX_TIMEOUT]")]
RuntimeName = Annotated[
    str | None, typer.Option("--runtime", metavar="NAME", help="auto, embedded or compose. [JEEX_RUNTIME]")
]
StrictPorts = Annotated[
    bool | None, typer.Option("--strict-ports", help="Refuse a taken port instead of taking another. [JEEX_STRICT_PORTS]")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking. [JEEX_YES]")]

# Parameters of a command that are settings: their variable.
_SETTINGS = {
    "timeout": "JEEX_TIMEOUT",
    "runtime": "JEEX_RUNTIME",
    "profiles": "JEEX_PROFILES",
    "strict_ports": "JEEX_STRICT_PORTS",
}

_COMMON = {
    "project": Annotated[
        str | None, typer.Option("--project", metavar="DIR", help="The project's folder. [JEEX_PROJECT_DIR]")
    ],
    "json": Annotated[bool, typer.Option("--json", help="One JSON document on stdout. [JEEX_JSON]")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Errors only. [JEEX_QUIET]")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show tracebacks. [JEEX_DEBUG]")],
}


def typer_app(*, no_args_is_help: bool = True) -> typer.Typer:
    """A Typer application that looks like every other of jeex."""
    return typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=no_args_is_help,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def command(
    app: typer.Typer, name: str | None = None, *, default: bool = False, **options: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function whose first parameter is a Session; the common options are added to its own.

    `default`: it is what the group does when no command of it is named.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = list(signature.parameters.values())[1:]

        def call(ctx: typer.Context, **given: Any) -> None:
            shared = {key: given.pop(key) for key in _COMMON}
            if ctx.invoked_subcommand is not None:  # options before its name are for the command
                root = ctx.find_root()
                root.obj = {**(root.obj or {}), **{key: one for key, one in shared.items() if one}}
                return None
            return function(_session(ctx, shared, given), **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            *[parameter.replace(kind=keyword) for parameter in own],
            *[
                inspect.Parameter(key, keyword, default=None if key == "project" else False, annotation=annotation)
                for key, annotation in _COMMON.items()
            ],
        ]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.__doc__ = function.__doc__
        call.__name__ = function.__name__
        app.command(name, **options)(call)
        if default:
            app.callback(invoke_without_command=True)(call)
        return function

    return register


def _session(ctx: typer.Context, shared: dict[str, Any], given: dict[str, Any]) -> Session:
    root: dict[str, Any] = ctx.find_root().obj or {}
    environ = dict(os.environ)

    def switch(key: str) -> bool:
        return bool(shared[key] or root.get(key) or environ.get(f"JEEX_{key.upper()}", "") not in ("", "0"))

    terminal = sys.stderr.isatty()
    output = Output(
        json=switch("json"),
        quiet=switch("quiet"),
        color=terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
    )
    flags = {variable: _text(given[key]) for key, variable in _SETTINGS.items() if given.get(key) is not None}
    folder = shared["project"] or root.get("project") or environ.get("JEEX_PROJECT_DIR") or None
    session = open_session(folder=folder, flags=flags, environ=environ, output=output, cwd=Path.cwd())
    journal: Journal | None = root.get("journal")
    if journal is None:
        return session
    journal.runs(ctx.command_path, {name: value for name, value in given.items() if value}, session.project.logs)
    return replace(session, trace_id=journal.trace_id)


def _text(value: object) -> str:
    """A flag as the variable of its name has it."""
    return "1" if value is True else str(value)


def wants_yes(session: Session, yes: bool) -> bool:
    """Whether the user has agreed beforehand, by flag or variable."""
    return yes or session.environ.get("JEEX_YES", "") not in ("", "0")

"""Which runtime a project uses, why, and whether each of them could run here."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.errors import JeexError
from jeex_cli.ops import switch_record
from jeex_cli.runtimes import pick
from jeex_cli.session import Session
from jeex_cli.settings import RUNTIMES


@dataclass(frozen=True, slots=True)
class Option:
    """One of the runtimes. Where it could not run here, `problem` says why and `hint` what to do about it."""

    name: str
    used: bool
    works: bool
    data: list[str]
    code: str = ""
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """`decided_by` is setting, remembered or auto; `why` says it in words. `unfinished`: a switch to that one was killed."""

    runtime: str
    decided_by: str
    why: str
    unfinished: str | None
    options: list[Option]


def show(session: Session) -> Shown:
    """Looks, and changes nothing."""
    choice = session.choice
    names = [name for name in RUNTIMES if name != "auto"]
    if session.settings.runtime != "auto":
        decided_by = "setting"
    else:
        decided_by = "remembered" if session.state.runtime in names else "auto"
    record = switch_record.read(session.project)
    left = record.target if record is not None and record.target != session.state.runtime else None
    return Shown(choice.name, decided_by, choice.why, left, [_option(session, name, name == choice.name) for name in names])


def _option(session: Session, name: str, used: bool) -> Option:
    runtime = pick.made(session.place, name)
    data: list[str] = []
    try:
        data = [one.name for one in runtime.volumes(session.stack)]
        runtime.check(session.stack, ())
    except JeexError as error:
        return Option(name, used, False, data, error.code, error.message, error.hint)
    return Option(name, used, True, data)

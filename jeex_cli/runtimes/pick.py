"""Which runtime a project uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jeex_cli.runtimes import engine

if TYPE_CHECKING:
    from jeex_cli.runtimes.base import Runtime
    from jeex_cli.runtimes.programs.base import Place


@dataclass(frozen=True, slots=True)
class Choice:
    """A runtime's name and why it is that one. `sure` is False where another takes its place if it does not work."""

    name: str
    why: str
    sure: bool = True


def made(place: Place, name: str) -> Runtime:
    """The runtime of that name: embedded or compose."""
    if name == "compose":
        from jeex_cli.runtimes.compose import ComposeRuntime

        return ComposeRuntime(place)
    from jeex_cli.runtimes.embedded import EmbeddedRuntime

    return EmbeddedRuntime(place)


def choose(place: Place, remembered: str | None) -> Choice:
    """The runtime that the settings ask for; else the one of the last `up`; else the one that there is data of; else Docker,
    where there is a sign of it."""
    asked = place.settings.values["JEEX_RUNTIME"]
    if asked.text != "auto":
        return Choice(asked.text, f"JEEX_RUNTIME ({asked.source})")
    if remembered in ("embedded", "compose"):
        return Choice(remembered, "the last `jeex up`")
    if (place.project.data / "postgres").exists():
        return Choice("embedded", "its data is here")
    if engine.may_be_there(place.environ):
        return Choice("compose", "there is Docker", sure=False)
    return Choice("embedded", "there is no Docker")

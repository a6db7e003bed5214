"""Settings as the user may see them."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli.session import Session
from jeex_cli.settings import is_secret

MASK = "********"


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: its value (masked where secret) and where it came from."""

    name: str
    value: str
    source: str


def show(session: Session, *, reveal: str | None = None) -> list[Setting]:
    """Every setting. The one secret that `reveal` names is shown."""
    return [
        Setting(name, MASK if is_secret(name) and value.text and name != reveal else value.text, value.source)
        for name, value in sorted(session.settings.values.items())
    ]

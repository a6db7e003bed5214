"""Settings as the user may see them."""

from __future__ import annotations

from dataclasses import dataclass

from jeex_cli import probe
from jeex_cli.errors import JeexError
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


def show_vault(session: Session, *, reveal: str | None = None) -> list[Setting] | None:
    """The settings of the service's processes that stand in Vault, under its own names; None where Vault does not tell."""
    try:
        where = session.stack.service("vault")
        if where.probe is not None and where.host_port is not None:
            # Before anything is imported: where nothing runs this takes no time.
            answer = probe.ask(where.probe, where.host_port)
            if not answer.ready:
                raise JeexError(f"Vault is not ready ({answer.detail})" if answer.open else "Vault does not run")
        return _in_vault(session, reveal)
    except JeexError as error:
        session.output.note(f"settings in Vault are not shown: {error.message}")
        return None


def _in_vault(session: Session, reveal: str | None) -> list[Setting]:
    from jeex_cli.ops import setting_rules, vault

    with vault.secrets(session) as store:
        stored = setting_rules.stored(store)
    above = session.stack.host_environment("api")

    def one(name: str, text: str) -> Setting:
        hidden = setting_rules.looks_secret(name, text) and name != reveal
        source = "Vault, but the API's environment says otherwise" if above.get(name) else ""
        return Setting(name, MASK if hidden else text, source or f"Vault (jeex secrets set {setting_rules.PATH} {name})")

    return [one(name, text) for name, text in sorted(stored.items())]

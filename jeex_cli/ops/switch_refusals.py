"""What a switch is refused for, before anything is changed."""

from __future__ import annotations

import re

from jeex_cli.errors import ConfigError, DataError, NotReady
from jeex_cli.runtimes.base import Runtime
from jeex_cli.session import Session


def setting(session: Session, target: str) -> None:
    """Raise ConfigError where a setting says otherwise: it would win over what is remembered."""
    asked = session.settings.values["JEEX_RUNTIME"]
    if asked.text in ("auto", target):
        return
    where, hint = f"the {asked.source}", f"unset JEEX_RUNTIME; jeex runtime switch {target}"
    if asked.source == ".env":
        where = f"{session.project.env_file}, line {_line(session)},"
        hint = f"take the line out, or have it say JEEX_RUNTIME={target}"
    raise ConfigError(f"{where} says JEEX_RUNTIME={asked.text}, which wins over a switch", code="RUNTIME_SET", hint=hint)


def _line(session: Session) -> int:
    lines = session.project.env_file.read_text(encoding="utf-8").splitlines()
    named = (number for number, line in enumerate(lines, 1) if re.match(r"\s*(export\s+)?JEEX_RUNTIME\s*[=:]", line))
    return max(named, default=1)  # the last one counts


def other_vault(session: Session) -> None:
    """Raise NotReady where Vault is not the same on both sides."""
    image = next((one.image for one in session.stack.services if one.name == "vault"), "bao")
    if "bao" not in image:  # as templates/vault/start.sh tells them apart
        raise NotReady(
            f"Vault's data cannot be carried: with Docker it is {image} (JEEX_VAULT_IMAGE), without it OpenBao, "
            "and neither reads the storage of the other",
            code="VAULT_STORAGE",
            hint="use OpenBao on both sides (remove JEEX_VAULT_IMAGE), or switch without --carry-data",
        )


def data(session: Session, target: Runtime) -> None:
    """Raise DataError where the target has any."""
    # Of whatever service: should the switch fail, what it has made is deleted, and must not stand beside anything else.
    there = [one.name for one in target.volumes(session.stack) if one.size != 0]
    if there:
        raise has_data(target.name, there)


def has_data(target: str, there: list[str]) -> DataError:
    """The error for data of the target's own; `there` is what it is called."""
    return DataError(
        f"{target} already has data of this project" + (f": {', '.join(there)}" if there else ""),
        code="TARGET_HAS_DATA",
        detail="Nothing was changed." if there else "",
        hint=f"to use that data, switch without --carry-data: jeex runtime switch {target}; "
        f"to replace it, delete it first: JEEX_RUNTIME={target} jeex down --delete-data",
    )

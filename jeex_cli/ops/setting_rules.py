"""Settings of the service's processes that stand in Vault: what can be one, and what of it may be shown."""

from __future__ import annotations

import dataclasses
import difflib
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jeex_cli.errors import UsageError
from jeex_cli.ops.secret_rules import Value
from jeex_cli.settings import is_secret

if TYPE_CHECKING:
    from service.adapters.secret_store import SecretStore

PATH = "settings"  # as users write it; one field a variable


def known() -> list[str]:
    """The variables that the service's processes read."""
    from service.core import settings

    names = [one.name.upper() for one in dataclasses.fields(settings.Settings) if one.name != "rotate_after"]
    return sorted([*names, *map(settings.rotation_variable, settings.ROTATIONS)])


def check(name: str, value: Value) -> None:
    """Raise UsageError for what no process could use: it would not start again."""
    from service.core import settings
    from service.core.errors import SettingsError

    names = [one for one in known() if one not in settings.NOT_FROM_VAULT]
    if name not in names:
        close = difflib.get_close_matches(name.upper(), names, n=1)
        raise UsageError(
            f"the service reads no setting {name} from Vault" + (f"; did you mean {close[0]}?" if close else ""),
            code="SETTING_UNKNOWN",
            detail=textwrap.fill(f"It reads {', '.join(names)}", 78),
            hint="jeex config show",
        )
    try:
        settings.load({}, vault={name: value.text})
    except SettingsError as error:
        raise UsageError(error.message, code="SETTING_INVALID", hint="jeex config show") from error


def looks_secret(name: str, text: str) -> bool:
    """Whether a setting of the service's must not be shown."""
    try:
        return is_secret(name) or urlsplit(text).password is not None
    except ValueError:
        return True


def stored(store: SecretStore) -> dict[str, str]:
    """What stands in Vault, by variable."""
    from service.services.secrets import SETTINGS

    found = store.get(SETTINGS)
    return dict(found.values) if found else {}

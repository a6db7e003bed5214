"""The service's errors as jeex's: the edge between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jeex_cli.errors import ConfigError, JeexError, Unhealthy, UsageError

# Where to look next, by the service's codes: it does not know that there is a jeex.
_HINTS = {
    "TENANT_UNKNOWN": "jeex tenant list",
    "VAULT_SEALED": "jeex secrets unseal",
    "VAULT_FORBIDDEN": "jeex secrets seed",
    "VAULT_DATABASE": "jeex secrets seed",
    "VAULT_KEY_MISSING": "jeex secrets seed",
}
_AWAY = "jeex up; jeex status"


@contextmanager
def translated(hints: Mapping[str, str] | None = None) -> Iterator[None]:
    """`hints` are next commands by code; they come before what the service itself says."""
    from service.core.errors import InvalidInput, ServiceError, SettingsError, Unavailable

    further = {**_HINTS, **(hints or {})}

    def hint(error: ServiceError) -> str:
        return further.get(error.code) or error.hint

    try:
        yield
    except Unavailable as error:
        raise Unhealthy(error.message, code=error.code, hint=hint(error) or _AWAY) from error
    except InvalidInput as error:
        raise UsageError(error.message, code=error.code, hint=hint(error)) from error
    except SettingsError as error:
        raise ConfigError(error.message, code=error.code, hint=hint(error) or "jeex config show") from error
    except ServiceError as error:
        raise JeexError(error.message, code=error.code, hint=hint(error)) from error

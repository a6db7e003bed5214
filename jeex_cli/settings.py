"""Settings: command line + environment + remembered state + `.env` + defaults -> one frozen value. Pure.

Precedence, highest first: flag, environment, remembered (`JEEX_X=... jeex up` holds until `jeex down`), `.env`, default.
A port that was taken is the exception: wherever it was asked for, the service has the port that `up` has found instead.
Every flag that changes how jeex works is also a JEEX_ variable of the same name; what compose.yaml names (ports, versions,
passwords) are JEEX_ variables too, and reach it with the same precedence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jeex_cli.errors import ConfigError

_DEFAULT = "default"
RUNTIMES = ("auto", "embedded", "compose")

# The jeex settings that are not named in compose.yaml: default and meaning. `jeex config show` and the tests of
# .env.example read them here.
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "JEEX_RUNTIME": "auto",  # auto | embedded | compose
        "JEEX_PROFILES": "",  # optional services to run, separated by commas
        "JEEX_TIMEOUT": "120",  # seconds a command may take
        "JEEX_TENANT": "",  # the tenant that commands mean where none is named
        "JEEX_STRICT_PORTS": "",  # 1: `up` refuses a taken port instead of taking another one
        "JEEX_SNAPSHOT_KEEP": "10",  # automatic snapshots that are kept; 0: none are made
        "JEEX_SNAPSHOT_MIB": "4096",  # MiB that automatic snapshots may take together; the newest is always kept
        "JEEX_POSTGRES_BIN": "",  # folder with initdb, postgres and psql, in place of the wheel's
        "JEEX_REDIS_SERVER": "",  # path of redis-server or valkey-server, in place of the wheel's
        "JEEX_OPENBAO": "",  # path of bao, in place of the wheel's
    }
)

# Read before a project is known, or by the output alone.
SWITCHES = ("JEEX_PROJECT_DIR", "JEEX_JSON", "JEEX_QUIET", "JEEX_YES", "JEEX_DEBUG")

# `jeex up` fills these with random values in a `.env` that lacks them: name -> (alphabet, length).
_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRETS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "JEEX_POSTGRES_PASSWORD": (_WORD, 32),
        "JEEX_DB_OWNER_PASSWORD": (_WORD, 32),
        "JEEX_DB_APP_PASSWORD": (_WORD, 32),
        "JEEX_DB_ADMIN_PASSWORD": (_WORD, 32),
        "JEEX_DB_LOGINS_PASSWORD": (_WORD, 32),
        "JEEX_DB_VAULT_PASSWORD": (_WORD, 32),
        "JEEX_REDIS_PASSWORD": (_WORD, 32),
        "JEEX_VAULT_SETUP_SECRET": (_WORD, 40),
        "JEEX_VAULT_OPERATOR_SECRET": (_WORD, 40),
        "JEEX_VAULT_SEAL_KEY": ("0123456789abcdef", 64),
        "JEEX_ADMIN_KEY": (_WORD, 43),
        "JEEX_METRICS_TOKEN": (_WORD, 43),
    }
)

# Made in the same way, and no secret: every server of this stack is started with it, so that it can be told from another's.
GENERATED: Mapping[str, tuple[str, int]] = MappingProxyType({"JEEX_INSTANCE": ("0123456789abcdef", 16)})


@dataclass(frozen=True, slots=True)
class Value:
    """A setting and where it came from, in words: `environment`, `.env`, `default`, `--runtime`."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What one command works with. `values` holds every JEEX_ variable that is set anywhere."""

    runtime: str
    profiles: tuple[str, ...]
    timeout: float  # seconds
    strict_ports: bool
    values: Mapping[str, Value]

    @property
    def variables(self) -> dict[str, str]:
        """What compose.yaml is interpolated with: all that was set; defaults stand in the file itself."""
        return {name: value.text for name, value in self.values.items() if value.source != _DEFAULT}

    def given(self, name: str) -> str | None:
        """The value of `name`, None where it is empty or not set."""
        value = self.values.get(name)
        return value.text if value is not None and value.text else None


def resolve(
    *,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    remembered: Mapping[str, str],
    project_file: Mapping[str, str],
    defaults: Mapping[str, str],
    block: Mapping[str, str] = MappingProxyType({}),
    moved: Mapping[str, tuple[str, str]] = MappingProxyType({}),
    tenant: str | None = None,
) -> Settings:
    """Merge the sources. `flags` maps variable names to what the command line said, `defaults` are compose.yaml's own.

    `block` are the ports that this checkout has in place of the defaults; `moved` those that were taken, as State has them;
    `tenant` is the one that was chosen.

    Raises ConfigError naming the variable and its source where a value cannot be used.
    """
    values: dict[str, Value] = {}
    layers: tuple[tuple[str, Mapping[str, str]], ...] = (
        (_DEFAULT, {**defaults, **DEFAULTS}),
        ("this checkout's ports", block),
        (".env", project_file),
        ("remembered from `jeex up`", remembered),
        ("jeex tenant use", {"JEEX_TENANT": tenant} if tenant else {}),
        ("environment", {name: text for name, text in environ.items() if name.startswith("JEEX_")}),
        ("command line", flags),
    )
    for source, layer in layers:
        # An empty value means the default; where a block replaces that, it must not hide it.
        values.update(
            {
                name: Value(text, source)
                for name, text in layer.items()
                if name not in SWITCHES and (text or name not in block)
            }
        )
    for name, (asked, got) in moved.items():
        if name in values and values[name].text == asked:
            values[name] = Value(got, f"moved, for {asked} was taken (jeex ports reset)")
    return Settings(
        runtime=_runtime(values["JEEX_RUNTIME"]),
        profiles=tuple(part for part in values["JEEX_PROFILES"].text.replace(",", " ").split() if part),
        timeout=_timeout(values["JEEX_TIMEOUT"]),
        strict_ports=values["JEEX_STRICT_PORTS"].text not in ("", "0"),
        values=MappingProxyType(values),
    )


def to_remember(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of the environment that later commands need to find the stack that `up` started: its ports and name."""
    kept = ("JEEX_PROJECT", "JEEX_PROFILES")
    return {
        name: text for name, text in environ.items() if (name.startswith("JEEX_") and name.endswith("_PORT")) or name in kept
    }


def is_secret(name: str) -> bool:
    """Whether the value of `name` must never be shown."""
    return name in SECRETS or name.endswith(("_PASSWORD", "_SECRET", "_KEY", "_TOKEN"))


def _runtime(value: Value) -> str:
    if value.text not in RUNTIMES:
        raise ConfigError(
            f"JEEX_RUNTIME is {value.text!r} ({value.source}); it must be one of {', '.join(RUNTIMES)}",
            hint="for example: jeex up --runtime embedded",
        )
    return value.text


def _timeout(value: Value) -> float:
    try:
        seconds = float(value.text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 86_400:
        raise ConfigError(
            f"JEEX_TIMEOUT is {value.text!r} ({value.source}); it must be a number of seconds above 0",
            hint="for example: --timeout 60",
        )
    return seconds

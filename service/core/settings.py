"""What a process is told: environment variables, one file and Vault, read once into a frozen value.

Precedence: environment, then the JSON object in the file that SETTINGS_FILE names (mode 0600, so that a process's
environment need not hold secrets), then what stands in Vault under the same names (`load` is given it by a process that has
been there), then the default. An empty value means the default.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from service.core.errors import SettingsError

_HARMLESS = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]+(/[A-Za-z0-9._~/-]*)?")
_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
LOG_LEVELS = ("debug", "info", "warning", "error")
POOLERS = ("none", "transaction")
# What is rotated by itself, by the names of services/rotation.py, and how old it may become.
ROTATIONS: Mapping[str, str] = MappingProxyType({"jwt": "90d", "database": "30d", "api-pepper": "365d"})
# Where the way to Vault stands, and what a process needs before it has been there.
NOT_FROM_VAULT = ("VAULT_ADDR", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_HANDOVER", "SETTINGS_FILE")
_AGE = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is used but never shown; `reveal` where it is used."""

    _value: str = ""

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per variable. URLs that hold a password are Secrets; times are in seconds."""

    database_url: Secret = Secret()  # as jeex_app: serves requests. Without a user in it, logins come from Vault
    database_admin_url: Secret = Secret()  # as jeex_admin: tenant administration. The same
    database_owner_url: Secret = Secret()  # as jeex_owner: migrations
    database_logins_url: Secret = Secret()  # as jeex_logins: what Vault makes logins with
    database_login_seconds: int = 3600  # that such a login holds; half of that is for a Vault that is away
    database_pool_size: int = 10  # connections per process and role
    database_timeout: float = 5.0  # to connect, or to wait for a connection
    database_statement_timeout: float = 30.0  # for one statement; PostgreSQL ends it
    database_pooler: str = "none"  # "transaction": connections go through one, so nothing may outlive a transaction
    redis_url: Secret = Secret()
    redis_timeout: float = 0.2  # for one call; a read waits that long at most for a Redis that does not answer
    cache: str = "on"  # "off": nothing is kept in Redis, every read asks PostgreSQL
    cache_ttl: float = 60.0  # that a row or a page is kept; a change ends it at once
    cache_absent_ttl: float = 5.0  # that it is remembered that there is none
    cache_value_limit: int = 65_536  # bytes of a value; what is larger is not kept
    vault_addr: str = ""
    vault_role_id: str = ""
    vault_secret_id: Secret = Secret()  # one that may be used again and again; or
    vault_handover: str = ""  # the file where a wrapped one was handed over, good for one use
    vault_poll: float = 15.0  # seconds between two looks at whether something was rotated
    vault_operator_secret: Secret = Secret()  # what the operator is to sign in with
    handover_folder: str = ""  # where the seed process hands over
    heartbeat_file: str = ""  # written by the worker: that it works, and how long the queue is
    queue_key: Secret = Secret()  # signs what goes through Redis; without one it comes from Vault
    worker_jobs: int = 8  # that one worker runs at a time
    worker_drain: float = 20.0  # that a worker waits for its jobs when it is told to end
    jobs_per_tenant: int = 4  # of one tenant, that all workers together run at a time
    job_lease: float = 30.0  # after which the job of a worker that was lost is another's
    job_backoff: float = 2.0  # that a failed job waits, at most and at first
    job_resend: float = 15.0  # after which a job that no worker has taken is sent again
    jobs_kept: float | None = 604_800.0  # that a finished job and its result are kept; None for ever
    purge_after: float | None = 2_592_000.0  # that what was deleted can be restored; None for ever
    purge_every: float | None = 86_400.0  # between two looks at what is to be purged; None for never
    export_limit: int = 64 * 1024 * 1024  # bytes of an export
    jwt_announced: float = 120.0  # seconds that a new key for tokens is published before it signs
    rotate_after: Mapping[str, float | None] = field(default_factory=dict)  # seconds by what is rotated; None for never
    admin_key: Secret = Secret()  # opens the administration of tenants over HTTP; without it there is none
    metrics_token: Secret = Secret()  # opens /metrics; without it that is closed
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")  # what a request's Host may say; "*" for anything
    body_limit: int = 8 * 1024 * 1024  # bytes of a request's body: a document of every allowed length, however it is escaped
    request_timeout: float = 30.0  # for one request, its body included
    rate_limit: int = 6000  # requests a minute of one tenant to one process; 0 for no limit
    otel: Mapping[str, str] = field(default_factory=dict)  # OpenTelemetry's own variables, as they are
    instance_id: str = ""  # the stack's; whoever asks /health learns which one answers
    log_level: str = "info"
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    drain_seconds: float = 0.1  # between SIGTERM and closing the port: /ready says 503, requests are served
    api_url: str = "http://127.0.0.1:5210"  # where a browser finds the API
    frontend_host: str = "127.0.0.1"
    frontend_port: int = 5200


def load(
    environ: Mapping[str, str], *, required: Collection[str] = (), vault: Mapping[str, str] = MappingProxyType({})
) -> Settings:
    """Settings out of `environ`, and out of what stands in `vault`. `required` are those that a process cannot do without.

    Raises SettingsError naming every variable that is missing or wrong, in one line, without values.
    """
    values = {
        **{name: text for name, text in vault.items() if text and name not in NOT_FROM_VAULT},
        **_file(environ.get("SETTINGS_FILE", "")),
        **{name: text for name, text in environ.items() if text},
    }
    problems = [f"{name} is missing" for name in required if not values.get(name)]
    reader = _Reader(values, problems)
    settings = Settings(
        database_url=reader.secret_url("DATABASE_URL", "postgresql"),
        database_admin_url=reader.secret_url("DATABASE_ADMIN_URL", "postgresql"),
        database_owner_url=reader.secret_url("DATABASE_OWNER_URL", "postgresql"),
        database_logins_url=reader.secret_url("DATABASE_LOGINS_URL", "postgresql"),
        database_login_seconds=int(reader.number("DATABASE_LOGIN_SECONDS", 3600, 2, 86_400, whole=True)),
        database_pool_size=int(reader.number("DATABASE_POOL_SIZE", 10, 1, 1000, whole=True)),
        database_timeout=reader.number("DATABASE_TIMEOUT", 5, 0.1, 300),
        database_statement_timeout=reader.number("DATABASE_STATEMENT_TIMEOUT", 30, 0.1, 3600),
        database_pooler=reader.one_of("DATABASE_POOLER", POOLERS, "none"),
        redis_url=reader.secret_url("REDIS_URL", "redis", "rediss"),
        redis_timeout=reader.number("REDIS_TIMEOUT", 0.2, 0.01, 10),
        cache=reader.one_of("CACHE", ("on", "off"), "on"),
        cache_ttl=reader.number("CACHE_TTL", 60, 1, 3600),
        cache_absent_ttl=reader.number("CACHE_ABSENT_TTL", 5, 0.5, 3600),
        cache_value_limit=int(reader.number("CACHE_VALUE_LIMIT", 65_536, 0, 8 * 1024 * 1024, whole=True)),
        vault_addr=reader.url("VAULT_ADDR", "http", "https"),
        vault_role_id=values.get("VAULT_ROLE_ID", ""),
        vault_secret_id=Secret(values.get("VAULT_SECRET_ID", "")),
        vault_handover=values.get("VAULT_HANDOVER", ""),
        vault_poll=reader.number("VAULT_POLL", 15, 0.1, 3600),
        vault_operator_secret=Secret(values.get("VAULT_OPERATOR_SECRET", "")),
        handover_folder=values.get("HANDOVER_FOLDER", ""),
        heartbeat_file=values.get("HEARTBEAT_FILE", ""),
        queue_key=reader.long_secret("QUEUE_KEY", 32),
        worker_jobs=int(reader.number("WORKER_JOBS", 8, 1, 256, whole=True)),
        worker_drain=reader.number("WORKER_DRAIN", 20, 0, 3600),
        jobs_per_tenant=int(reader.number("JOBS_PER_TENANT", 4, 1, 10_000, whole=True)),
        job_lease=reader.number("JOB_LEASE", 30, 0.2, 3600),
        job_backoff=reader.number("JOB_BACKOFF", 2, 0, 3600),
        job_resend=reader.number("JOB_RESEND", 15, 0.2, 3600),
        jobs_kept=reader.age("JOBS_KEPT", "7d"),
        purge_after=reader.age("PURGE_AFTER", "30d"),
        purge_every=reader.age("PURGE_EVERY", "1d", least=1),
        export_limit=int(reader.number("EXPORT_LIMIT", 64 * 1024 * 1024, 1024, 2**30, whole=True)),
        jwt_announced=reader.number("JWT_ANNOUNCED", 120, 0, 3600),
        rotate_after={kind: reader.age(rotation_variable(kind), text) for kind, text in ROTATIONS.items()},
        admin_key=reader.long_secret("ADMIN_KEY", 32),
        metrics_token=reader.long_secret("METRICS_TOKEN", 32),
        cors_origins=reader.origins("CORS_ORIGINS"),
        allowed_hosts=reader.hosts("ALLOWED_HOSTS") or ("127.0.0.1", "localhost"),
        body_limit=int(reader.number("BODY_LIMIT", 8 * 1024 * 1024, 1024, 2**30, whole=True)),
        request_timeout=reader.number("REQUEST_TIMEOUT", 30, 0.1, 3600),
        rate_limit=int(reader.number("RATE_LIMIT", 6000, 0, 10**9, whole=True)),
        otel={name: text for name, text in values.items() if name.startswith("OTEL_")},
        instance_id=reader.word("INSTANCE_ID"),
        log_level=reader.one_of("LOG_LEVEL", LOG_LEVELS, "info"),
        api_host=values.get("API_HOST", "127.0.0.1"),
        api_port=int(reader.number("API_PORT", 8000, 1, 65535, whole=True)),
        drain_seconds=reader.number("DRAIN_SECONDS", 0.1, 0, 300),
        api_url=reader.public_url("API_URL") or "http://127.0.0.1:5210",
        frontend_host=values.get("FRONTEND_HOST", "127.0.0.1"),
        frontend_port=int(reader.number("FRONTEND_PORT", 5200, 1, 65535, whole=True)),
    )
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def rotation_variable(kind: str) -> str:
    """The variable that says how old a kind of secret may become."""
    return f"ROTATE_{kind.upper().replace('-', '_')}_AFTER"


def _file(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SettingsError(f"SETTINGS_FILE {path} can be read by others: chmod 600 {path}")
            found = json.load(file)
    except OSError as error:
        raise SettingsError(f"SETTINGS_FILE {path} cannot be read: {error.strerror}") from error
    except ValueError:  # its text could hold a secret, so the cause is not chained
        raise SettingsError(f"SETTINGS_FILE {path} is not JSON") from None
    if not (isinstance(found, dict) and all(isinstance(text, str) for text in found.values())):
        raise SettingsError(f"SETTINGS_FILE {path} is not a JSON object of texts")
    return {name: text for name, text in found.items() if text}


class _Reader:
    """Turns texts into values and collects what is wrong, so that one run tells everything."""

    def __init__(self, values: Mapping[str, str], problems: list[str]) -> None:
        self._values = values
        self._problems = problems

    def secret_url(self, name: str, *schemes: str) -> Secret:
        return Secret(self.url(name, *schemes))

    def word(self, name: str) -> str:
        """A text of harmless characters."""
        text = self._values.get(name, "")
        if text and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
            self._problems.append(
                f"{name} has characters that are none of letters, digits, - and _, or more than 64 of them"
            )
            return ""
        return text

    def url(self, name: str, *schemes: str) -> str:
        text = self._values.get(name, "")
        if text and not _is_url(text, schemes):
            self._problems.append(f"{name} is not a URL such as {schemes[0]}://host:port")
        return text.rstrip("/")

    def public_url(self, name: str) -> str:
        """A URL that stands in pages and headers, so of harmless characters only."""
        url = self.url(name, "http", "https")
        if url and not _HARMLESS.fullmatch(url):
            self._problems.append(f"{name} has characters or parts that no address of an API has")
        return url

    def number(self, name: str, default: float, least: float, most: float, *, whole: bool = False) -> float:
        text = self._values.get(name, "")
        if not text:
            return default
        try:
            number = float(int(text) if whole else float(text))
        except ValueError:
            number = float("nan")
        if not least <= number <= most:  # false for NaN as well
            kind = "a whole number" if whole else "a number"
            self._problems.append(f"{name} is not {kind} from {least:g} to {most:g}")
            return default
        return number

    def age(self, name: str, default: str, *, least: int = 0) -> float | None:
        """Seconds, None for `never`."""
        text = self._values.get(name, default)
        found = _AGE.fullmatch(text)
        if text != "never" and found is None:
            self._problems.append(f"{name} is neither a time such as 90d or 12h nor never")
        elif found is not None and int(found[1]) < least:
            self._problems.append(f"{name} is too short a time")
            return None
        return int(found[1]) * _SECONDS[found[2]] if found else None

    def one_of(self, name: str, allowed: Collection[str], default: str) -> str:
        text = self._values.get(name, default).lower()
        if text not in allowed:
            self._problems.append(f"{name} is none of {', '.join(allowed)}")
        return text

    def long_secret(self, name: str, least: int) -> Secret:
        """A secret that cannot be guessed, or none at all."""
        text = self._values.get(name, "")
        if text and len(text) < least:
            self._problems.append(f"{name} is shorter than {least} characters")
        return Secret(text)

    def hosts(self, name: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in self._values.get(name, "").split(",") if part.strip())
        self._problems.extend(
            f"{name} holds {host!r}, which is not a name such as api.example.com or *.example.com"
            for host in found
            if not _HOST.fullmatch(host)
        )
        return found

    def origins(self, name: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in self._values.get(name, "").split(",") if part.strip())
        for origin in found:
            parts = urlsplit(origin)
            # A browser compares origins as texts: a path or a slash at the end would never match.
            if not _is_url(origin, ("http", "https")) or f"{parts.scheme}://{parts.netloc}" != origin or "@" in origin:
                self._problems.append(f"{name} holds {origin!r}, which is not an origin such as http://host:port")
        return found


def _is_url(text: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)

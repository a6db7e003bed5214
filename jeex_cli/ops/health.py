"""Connecting to every service for real, with the real clients and the credentials of the stack."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from jeex_cli import loopback
from jeex_cli.ops import database
from jeex_cli.session import Session
from jeex_cli.stack import HttpProbe, PostgresProbe, RedisProbe, Service

_LIMIT = 5.0  # seconds a service may take to answer


@dataclass(frozen=True, slots=True)
class Health:
    """One service as a client finds it. `version` and `latency_ms` are None where it did not answer."""

    name: str
    title: str
    ok: bool
    version: str | None = None
    latency_ms: float | None = None
    detail: str = ""


def check(session: Session) -> list[Health]:
    """Ask every service of the stack that listens, all at once."""
    services = [one for one in session.stack.services if one.probe is not None and one.program is not None]

    async def ask_all() -> list[Health]:
        return await asyncio.gather(*(_ask(session, service) for service in services))

    return asyncio.run(ask_all())


async def _ask(session: Session, service: Service) -> Health:
    began = time.monotonic()
    match service.probe:
        case PostgresProbe():
            question: Callable[[], Awaitable[str]] = lambda: _postgres(session)  # noqa: E731
        case RedisProbe():
            question = lambda: _redis(session)  # noqa: E731
        case HttpProbe(path=path):
            question = lambda: asyncio.to_thread(_http, f"http://127.0.0.1:{service.host_port}{path}")  # noqa: E731
        case _:
            return Health(service.name, service.title, ok=True)
    try:
        version = await asyncio.wait_for(question(), _LIMIT)
    except TimeoutError:
        return Health(service.name, service.title, ok=False, detail=f"no answer within {_LIMIT:g} s")
    except (ConnectionError, urllib.error.URLError):
        return Health(service.name, service.title, ok=False, detail=f"nothing listens on 127.0.0.1:{service.host_port}")
    except (OSError, _Refused) as error:
        detail = str(error)
        return Health(service.name, service.title, ok=False, detail=detail)
    return Health(service.name, service.title, True, version or None, round((time.monotonic() - began) * 1000, 1))


class _Refused(Exception):
    """The service answered, and the answer was no."""


async def _postgres(session: Session) -> str:
    import asyncpg

    try:
        connection = await asyncpg.connect(database.url(session, "app"))
    except asyncpg.PostgresError as error:
        raise _Refused(str(error)) from error
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


async def _redis(session: Session) -> str:
    import redis.asyncio as redis

    client = redis.Redis.from_url(session.stack.host_environment("api")["REDIS_URL"])
    try:
        info: dict[str, Any] = await client.info("server")
    except redis.ConnectionError as error:
        raise ConnectionError(str(error)) from error
    except redis.RedisError as error:
        raise _Refused(str(error)) from error
    finally:
        await client.aclose()
    return f"{info.get('server_name', 'redis')} {info.get('valkey_version') or info['redis_version']}"


def _http(url: str) -> str:
    answer = loopback.get(url, timeout=_LIMIT)
    if answer.status >= 400:
        raise _Refused(f"HTTP {answer.status}")
    try:
        document = json.loads(answer.body)
    except ValueError:
        return ""
    return str(document.get("version", "")) if isinstance(document, dict) else ""

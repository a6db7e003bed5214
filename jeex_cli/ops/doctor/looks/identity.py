"""Asks whatever answers on the stack's ports whose it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jeex_cli import loopback, probe
from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.identity import Answering, Identities
from jeex_cli.ops.doctor.looks.postgres import as_superuser
from jeex_cli.ops.doctor.looks.redis import look as look_at_redis
from jeex_cli.ops.port_holders import holders
from jeex_cli.session import Session
from jeex_cli.stack import Service

if TYPE_CHECKING:
    import asyncpg

_PATIENCE = 1.0  # seconds; a server that is mute is asked twice


def look(session: Session) -> Identities:
    """The facts of checks/identity.py."""
    ours = session.settings.given("JEEX_INSTANCE") or ""
    asking: dict[str, Callable[[Session, Service], str]] = {
        "postgres": _postgres,
        "redis": _redis,
        "vault": _vault,
        "api": _http,
        "frontend": _http,
    }
    services = [one for one in session.stack.services if one.name in asking and one.host_port and one.probe]
    states = {one.name: one for one in session.runtime.states(session.stack)}

    def answering(service: Service) -> Answering:
        port = service.host_port or 0
        runs = service.name in states and states[service.name].pid is not None
        if service.probe is None or not probe.ask(service.probe, port, timeout=_PATIENCE / 2).open:
            return Answering(service.title, port, False, runs, None, "", "")
        try:
            instance, problem = asking[service.name](session, service), ""
        except CannotLook as error:
            instance, problem = None, error.reason
        who = ""
        if instance != ours:
            who = next((one.text for one in holders(session, [port]).get(port, ())), "")
        return Answering(service.title, port, True, runs, instance, problem, who)

    with ThreadPoolExecutor(len(asking)) as threads:
        found = threads.map(answering, services)
        return Identities(ours, dict(zip((one.name for one in services), found, strict=True)))


def _postgres(session: Session, _service: Service) -> str:
    async def ask(connection: asyncpg.Connection[Any]) -> str:
        return str(await connection.fetchval("SELECT coalesce(current_setting('jeex.instance', true), '')"))

    return as_superuser(session, ask)


def _redis(session: Session, _service: Service) -> str:
    title = look_at_redis(session).settings.get("proc-title-template", "")
    return title.rpartition("instance=")[2] if "instance=" in title else ""


def _vault(_session: Session, service: Service) -> str:
    try:
        return loopback.get(f"http://127.0.0.1:{service.host_port}/v1/sys/health", timeout=_PATIENCE).headers.get(
            "x-jeex-instance", ""
        )
    except OSError as error:
        raise CannotLook(str(error)) from error


def _http(_session: Session, service: Service) -> str:
    try:
        answer = loopback.get(f"http://127.0.0.1:{service.host_port}/health", timeout=_PATIENCE)
        found = json.loads(answer.body)
    except (OSError, ValueError) as error:
        raise CannotLook(f"it does not answer /health ({type(error).__name__})") from error
    return str(found.get("instance", "")) if isinstance(found, dict) else ""

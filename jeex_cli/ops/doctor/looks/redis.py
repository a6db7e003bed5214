"""Looks at the running Redis."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jeex_cli.checks.base import CannotLook
from jeex_cli.checks.redis import Door, Server
from jeex_cli.ops.doctor.looks.services import running
from jeex_cli.project import bundled
from jeex_cli.session import Session

if TYPE_CHECKING:
    import redis

_PATIENCE = 1.5  # seconds for an answer
_SETTINGS = ("appendonly", "maxmemory", "maxmemory-policy", "proc-title-template")


def look_at_door(session: Session) -> Door:
    """Knocks without a password, and with the one of `.env`."""
    import redis

    service = running(session, "redis")
    try:
        with socket.create_connection(("127.0.0.1", service.host_port or 0), timeout=_PATIENCE) as connection:
            connection.sendall(b"PING\r\n")
            is_open = connection.recv(64).startswith(b"+PONG")
    except OSError as error:
        raise CannotLook(f"Redis does not answer: {error}") from error
    try:
        with client(session) as one:
            one.ping()
    except redis.AuthenticationError:
        # Where none is asked for, one that is sent is refused: what is wrong is the open door.
        return Door(is_open, refused=not is_open)
    return Door(is_open, refused=False)


def look(session: Session) -> Server:
    """What it says of itself."""
    import redis

    running(session, "redis")
    try:
        with client(session) as one:
            info: dict[str, Any] = one.info()
            settings = {name: str(one.config_get(name).get(name, "")) for name in _SETTINGS}
    except redis.AuthenticationError:
        raise CannotLook("Redis does not accept JEEX_REDIS_PASSWORD") from None
    except redis.RedisError as error:
        raise CannotLook(f"Redis does not answer: {error}") from error
    return Server({name: str(value) for name, value in info.items()}, settings, _configured())


@contextmanager
def client(session: Session) -> Iterator[redis.Redis]:
    """A client with the password of `.env`, that does not try twice."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    one = redis.Redis.from_url(
        session.stack.host_environment("api")["REDIS_URL"],
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    try:
        yield one
    finally:
        one.close()


def _configured() -> dict[str, str]:
    """What the stack's redis.conf sets."""
    lines = (bundled("templates") / "redis" / "redis.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1].strip('"') for pair in pairs if len(pair) == 2}

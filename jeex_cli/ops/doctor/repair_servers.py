"""Repairs in the running servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jeex_cli.checks import repairs
from jeex_cli.checks.base import CannotLook
from jeex_cli.errors import Unhealthy
from jeex_cli.session import Session

if TYPE_CHECKING:
    import asyncpg


def set_in_redis(session: Session, repair: repairs.SetInRedis) -> None:
    """Raises Unhealthy where Redis does not take it."""
    import redis

    from jeex_cli.ops.doctor.looks.redis import client

    try:
        with client(session) as one:
            for name, value in repair.values:
                one.config_set(name, value)
    except redis.RedisError as error:
        raise Unhealthy(f"Redis does not take it: {error}", hint="jeex restart redis") from error


def run_sql(session: Session, repair: repairs.RunSql) -> None:
    """Each statement by itself: some do not work in a transaction. Raises Unhealthy where PostgreSQL refuses one."""
    _as_superuser(session, repair.statements)


def set_passwords(session: Session, repair: repairs.SetPasswords) -> None:
    """As bootstrap.sql does it: no password reaches the server's log. Raises Unhealthy where PostgreSQL refuses one."""
    environment = session.stack.service("postgres").environment
    literals = [(role, environment[variable].replace("'", "''")) for role, variable in repair.passwords]
    quiet = "SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1"
    strings = "SET standard_conforming_strings = on; SET password_encryption = 'scram-sha-256'"
    _as_superuser(session, (quiet, strings, *(f"ALTER ROLE {role} PASSWORD '{text}'" for role, text in literals)))


def _as_superuser(session: Session, statements: Sequence[str]) -> None:
    import asyncpg

    from jeex_cli.ops.doctor.looks.postgres import as_superuser

    async def run(connection: asyncpg.Connection[Any]) -> None:
        for statement in statements:
            await connection.execute(statement)

    try:
        as_superuser(session, run)
    except (CannotLook, asyncpg.PostgresError) as error:
        raise Unhealthy(f"PostgreSQL does not do it: {error}", hint="jeex db shell --role superuser") from error

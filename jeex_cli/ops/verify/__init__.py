"""A proof, on the running stack, that tenants are kept apart: two are made, attack each other, and are gone again."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jeex_cli.errors import JeexError, PartialFailure, Unhealthy
from jeex_cli.events import Step
from jeex_cli.ops import database, health
from jeex_cli.ops.failures import translated
from jeex_cli.ops.verify import api, canaries, catalogue, events, identity, queue, redis, rows, vault
from jeex_cli.ops.verify.arena import Arena
from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.evidence import AREAS, Evidence, Tally
from jeex_cli.ops.verify.http import Api
from jeex_cli.ops.verify.sql import Sql
from jeex_cli.project import write_private
from jeex_cli.session import Session

if TYPE_CHECKING:
    import uuid

    import asyncpg

    Connection: TypeAlias = asyncpg.Connection[Any]

_NEEDED = ("postgres", "redis", "vault", "api")
_LOCK = 7_305_160_023  # one proof at a time on a stack: the next takes away what it finds
_TIMEOUT = 10.0  # seconds for a statement


@dataclass(frozen=True, slots=True)
class Proof:
    """What was tried, and what came of it. `removed` counts the canaries that a killed run had left."""

    areas: list[Tally]
    attacks: list[dict[str, Any]]
    seconds: float
    removed: int

    @property
    def as_data(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def verify(session: Session) -> Proof:
    """Try everything, and leave nothing behind.

    Raises Unhealthy where the stack is not up, JeexError (PROOF_RUNNING) beside another proof.
    """
    began = time.monotonic()
    _up(session)
    evidence = Evidence()
    with translated(), asyncio.Runner() as runner, ExitStack() as stack:
        witness, app = (stack.enter_context(_connected(runner, session, role)) for role in ("superuser", "app"))
        _alone(runner, witness)
        client = stack.enter_context(redis.connect(session))
        door = Api(session.stack.service("api").host_port or 0)
        stack.callback(door.close)
        old = canaries.left(session)
        _gone(session, client, old)
        pair: list[Canary] = []
        try:
            with _step(session, "sql", evidence, "catalogue"):  # it needs no canaries, and may say why there can be none
                runner.run(catalogue.look(witness, evidence))
            document = _made(session, door, pair, evidence)
            if document is not None:
                arena = Arena(session, door, client, document, pair[0], pair[1], evidence)
                _attack(arena, runner, witness, app)
        finally:
            with _undisturbed():
                _gone(session, client, canaries.left(session))  # not `pair`: who was interrupted may not have it yet
    return Proof(evidence.tally(), [asdict(one) for one in evidence.attacks], round(time.monotonic() - began, 2), len(old))


def keep(proof: Proof, file: Path) -> None:
    """Write every attack to `file`, mode 0600: what is found there is nobody else's. Raises NotReady where it cannot be."""
    write_private(file.expanduser().absolute(), json.dumps({"version": 1, **proof.as_data}, indent=2, default=str) + "\n")


def judge(proof: Proof) -> None:
    """Raises PartialFailure (TENANTS_NOT_APART) where there is a hole, JeexError (PROOF_INCOMPLETE) where something could
    not be tried: what was not tried was not refused."""
    holes = [one for one in proof.attacks if one["outcome"] == "hole"]
    unknown = [one for one in proof.attacks if one["outcome"] == "untried"]
    if holes:
        first = holes[0]
        said = list(dict.fromkeys(f"{one['area']}: {one['seen']}" for one in holes))
        raise PartialFailure(
            f"tenants are not kept apart: {first['seen']}",
            code="TENANTS_NOT_APART",
            detail="\n".join(said[:20]),
            hint=first["close"],
            data=proof.as_data,
        )
    if unknown:
        raise JeexError(
            f"nothing got through, but {len(unknown)} of {len(proof.attacks)} attacks could not be tried",
            code="PROOF_INCOMPLETE",
            detail="\n".join(dict.fromkeys(f"{one['area']}: {one['what']}: {one['seen']}" for one in unknown[:20])),
            hint="jeex status; jeex doctor; then again: jeex tenant verify",
            data=proof.as_data,
        )


def _attack(arena: Arena, runner: asyncio.Runner, witness: Connection, app: Connection) -> None:
    evidence, attacker, victim = arena.evidence, arena.attacker, arena.victim
    with _step(arena.session, "queue", evidence):
        queue.attack(arena)
    with _step(arena.session, "redis", evidence):
        redis.attack(arena)
    with _step(arena.session, "vault", evidence):
        vault.attack(arena.session, evidence)
    with _step(arena.session, "api", evidence, "credentials"):
        identity.attack(arena)
        events.attack(arena)
        if not evidence.unknown:  # else nobody does jobs, and nothing moves
            queue.settle(arena.api, (attacker, victim))
    with _step(arena.session, "sql", evidence):
        for one, other in ((attacker, victim), (victim, attacker)):
            with _unchanged(runner, witness, other, evidence, "sql"):
                runner.run(Sql(app, witness, evidence).attack(one, other))
    with _step(arena.session, "api", evidence), _unchanged(runner, witness, victim, evidence, "api"):
        api.attack(arena)  # last, for it may spoil what the attacker has


def _made(session: Session, door: Api, pair: list[Canary], evidence: Evidence) -> Mapping[str, Any] | None:
    """Fill `pair`, and say what the API can be asked. None where that cannot be, and holes are known: these come first."""
    from service.core.errors import ServiceError

    began = time.monotonic()
    session.output.step(Step("canaries", "canaries", "running"))
    try:
        for _ in range(2):
            pair.append(canaries.make(session))
        for one in pair:
            canaries.fill(door, one)
            canaries.wait(session, one)
        document = api.document(door)
    except (JeexError, ServiceError) as error:
        session.output.step(Step("canaries", "canaries", "failed", time.monotonic() - began, error.message))
        if not evidence.holes:
            raise
        for area in AREAS:
            evidence.untried(area, "everything that takes two tenants", error.message)
        return None
    session.output.step(Step("canaries", "canaries", "done", time.monotonic() - began, "two tenants"))
    return document


@contextmanager
def _unchanged(runner: asyncio.Runner, witness: Connection, victim: Canary, evidence: Evidence, area: str) -> Iterator[None]:
    before = runner.run(rows.of(witness, victim.tenant_id))
    yield
    rows.compare(evidence, area, before, runner.run(rows.of(witness, victim.tenant_id)))


def _up(session: Session) -> None:
    """Raises Unhealthy where a server that is to be attacked does not answer."""
    for _ in range(2):  # the first look is slow where what it imports is: a busy machine is not a stack that is down
        away = [one for one in health.check(session) if one.name in _NEEDED and not one.ok]
        if not away:
            return
    raise Unhealthy(
        f"{', '.join(one.title for one in away)} cannot be reached: there is nothing to prove it on",
        detail="\n".join(f"{one.name}: {one.detail}" for one in away),
        hint="jeex up; jeex status",
    )


def _alone(runner: asyncio.Runner, witness: Connection) -> None:
    if not runner.run(witness.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK)):
        raise JeexError("another proof is under way on this stack", code="PROOF_RUNNING", hint="wait until it has ended")


def _gone(session: Session, client: Any, tenant_ids: list[uuid.UUID]) -> None:
    """Rows first, then the copies that somebody may have made of them until then."""
    canaries.remove(session, tenant_ids)
    redis.remove(client, tenant_ids)


@contextmanager
def _connected(runner: asyncio.Runner, session: Session, role: str) -> Iterator[Connection]:
    """A connection as that role; the superuser's changes nothing. Raises Unhealthy."""
    import asyncpg

    settings = {"application_name": "jeex-verify", "statement_timeout": f"{_TIMEOUT * 1000:.0f}", "lock_timeout": "5000"}
    if role == "superuser":
        settings["default_transaction_read_only"] = "on"
    try:
        connection = runner.run(asyncpg.connect(database.url(session, role), server_settings=settings, timeout=_TIMEOUT))
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise Unhealthy(f"PostgreSQL does not let {role} in: {error}", hint="jeex doctor") from error
    try:
        yield connection
    finally:
        runner.run(connection.close(timeout=_TIMEOUT))


@contextmanager
def _step(session: Session, name: str, evidence: Evidence, part: str = "") -> Iterator[None]:
    """One area. Where what it asks goes away meanwhile, the rest of it is untried; that refuses nothing."""
    import http.client

    import asyncpg
    from redis.exceptions import RedisError

    from service.core.errors import Unavailable

    began, before = time.monotonic(), len(evidence.attacks)
    session.output.step(Step(name, part or name, "running"))
    try:
        yield
    except (OSError, http.client.HTTPException, asyncpg.PostgresError, RedisError, Unavailable, Unhealthy) as error:
        evidence.untried(name, "the rest", f"{type(error).__name__}: {error}")
    new = evidence.attacks[before:]
    holes, unknown = (sum(one.outcome == outcome for one in new) for outcome in ("hole", "untried"))
    told = f"{len(new)} attacks" + (f", {holes} got through" if holes else "") + (f", {unknown} untried" if unknown else "")
    failed = holes or unknown
    session.output.step(Step(name, part or name, "failed" if failed else "done", time.monotonic() - began, told))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C does not end what takes the canaries away; it is over in a moment."""
    before: Callable[..., Any] | int | None = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

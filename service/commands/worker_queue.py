"""The worker's part that does jobs, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from service.adapters import jobs, listening
from service.adapters.cache import Cache
from service.adapters.database import Database
from service.adapters.due_jobs import Depth
from service.adapters.link import Link
from service.adapters.streaq_transport import StreaqTransport
from service.adapters.transport import LocalTransport, Signer, Transport
from service.adapters.vault_session import VaultSession
from service.commands import entrance
from service.core.errors import Unavailable, VaultUnavailable
from service.core.settings import Secret, Settings
from service.services import export, purge, secrets, upkeep
from service.services.job_kinds import Finish, Job, JobKind
from service.services.job_relay import Changes, JobRelay, Pace
from service.services.job_runner import JobRunner, Limits
from service.services.jobs import EXPORT, PURGE, WARM
from service.services.purge import Ages
from service.services.reading import Reading
from service.services.schedules import Schedule, Scheduler

if TYPE_CHECKING:
    from service.adapters.vault import Vault

WARM_EVERY = 3600.0  # seconds between two times that a tenant's cache is warmed
_PROCESS = "jeex-worker"

Warm = Callable[[Job], Awaitable[Finish | None]]


async def work(found: Settings, session: VaultSession, ended: asyncio.Event, counted: Callable[[Depth], None]) -> None:
    """Do jobs until `ended`, then finish those that have begun. `counted` is told now and then how long the queue is."""
    transport = await _until(_transport(found, session), ended)
    if transport is None:
        return
    database = entrance.pool(found, session, "app", found.database_url, found.worker_jobs + 2, process=_PROCESS)
    administration = entrance.pool(found, session, "admin", found.database_admin_url, 2, process=_PROCESS)
    ear = entrance.pool(found, session, "app", found.database_url, 1, process=_PROCESS)
    pools = [database, administration, ear]
    ages = Ages(found.purge_after, found.jobs_kept)
    link = Link(found.redis_url, timeout=found.redis_timeout) if found.redis_url else None
    cache = entrance.cached(found, link)
    kinds = {one.name: one for one in job_kinds(found, ages, warming(cache, database))}
    changes = Changes(database)
    limits = Limits(found.worker_jobs, found.job_lease, found.job_backoff)
    runner = JobRunner(database, kinds, limits, changes.add)
    pace = Pace(found.jobs_per_tenant, found.job_resend)
    relay = JobRelay(administration, transport, runner, changes, pace, slots=found.worker_jobs, counted=counted)
    scheduler = Scheduler(database, administration, schedules(found, kinds), ages)
    background: list[Coroutine[Any, Any, None]] = [
        transport.run(runner.accept, slots=2 * found.worker_jobs, lost=relay.lost),
        relay.run(),
        scheduler.run(),
        changes.tell(),
    ]
    if cache is not None:
        background.append(cache.keep())
    if found.database_pooler != "transaction":  # behind one there is no listening: the relay looks each second
        background.append(listening.listen(ear, jobs.CHANNEL, relay.heard, began=changes.woken.set))
    if session.may_enter:
        background.append(upkeep.keep(session, pools, poll=found.vault_poll))
    tasks = [asyncio.create_task(one) for one in background]
    waiting = asyncio.create_task(ended.wait())
    try:
        done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()  # none of them ends by itself: a mistake of ours
    finally:
        structlog.get_logger().info("worker.drains", running=found.worker_jobs - runner.free)
        waiting.cancel()
        await runner.drain(found.worker_drain)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await changes.flush()
        if cache is not None:
            await cache.close()
        if link is not None:
            await link.close()
        await asyncio.gather(*(one.close() for one in pools))  # each gives a login back, for which Vault has to work


def job_kinds(found: Settings, ages: Ages, warm: Warm | None) -> list[JobKind]:
    """Every kind of job that this worker can do."""
    kinds = [
        JobKind(EXPORT, lambda job: export.run(job, found.export_limit), timeout=600),
        JobKind(PURGE, lambda job: purge.run(job, ages), timeout=3600),
    ]
    if warm is not None:
        kinds.append(JobKind(WARM, warm))
    return kinds


def warming(cache: Cache | None, database: Database) -> Warm | None:
    """What warms a tenant's cache; None where there is nothing to warm."""
    if cache is None:
        return None
    reading = Reading(cache, database)

    async def warm(job: Job) -> Finish:
        if not reading.usable:  # this process has only just started: jobs come out of the very Redis
            raise Unavailable("the cache is not ready", code="CACHE_UNAVAILABLE")
        return Finish(f"warmed {await reading.warm(job.tenant_id)} values")

    return warm


def schedules(found: Settings, kinds: dict[str, JobKind]) -> list[Schedule]:
    """What is done again and again."""
    made = [Schedule(PURGE, found.purge_every)] if found.purge_every is not None else []
    return made + ([Schedule(WARM, WARM_EVERY)] if WARM in kinds else [])


async def _transport(found: Settings, session: VaultSession) -> Transport:
    """What carries messages; once the key is there that signs them."""
    if not found.redis_url:
        return LocalTransport()
    return StreaqTransport(found.redis_url, Signer(found.queue_key or await _key(session)))


async def _key(session: VaultSession) -> Secret:
    told = False
    while True:
        try:
            return Secret(await session.run(_made_key))
        except VaultUnavailable as error:
            if not told:
                structlog.get_logger().warning("queue.key_awaited", code=error.code, reason=error.message)
            told = True
        await asyncio.sleep(1.0)


def _made_key(vault: Vault) -> str:
    from service.adapters.vault_secrets import VaultSecrets

    return secrets.queue_key(VaultSecrets(vault))


async def _until(making: Coroutine[Any, Any, Transport], ended: asyncio.Event) -> Transport | None:
    """What is made, None if the process is told to end before that."""
    made, waiting = asyncio.create_task(making), asyncio.create_task(ended.wait())
    await asyncio.wait([made, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if made.done():
        return made.result()
    made.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await made
    return None

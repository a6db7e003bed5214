"""The queue, attacked: jobs that name another tenant's rows, and messages that nobody has signed.

Jobs of the attacker's own are the proof that the worker works: a job that nobody takes was not refused.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jeex_cli.ops.verify import canaries
from jeex_cli.ops.verify.arena import Arena
from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.http import Answer, Api
from jeex_cli.ops.verify.redis import FORGED

if TYPE_CHECKING:
    from redis import Redis

_PATIENCE = 20.0  # seconds for a job
_SETTLED = 0.3  # seconds more, for what a worker has read together with the job that was done
_STREAM = "streaq:jeex:queues:normal"
_OVER = ("done", "dead", "cancelled")
_CLOSE = "have the worker open every message with Signer.open (service/adapters/transport.py) before it looks into it"
_JOBS = "run jobs in job.database.direct(job.tenant_id), with statements that name the tenant"


def attack(arena: Arena) -> None:
    """A foreign project's export, forged messages, then events; each with its proof."""
    api, attacker, evidence = arena.api, arena.attacker, arena.evidence
    first = _over(api, attacker, attacker.ids["job"][0])
    if first.get("status") != "done":
        evidence.untried(
            "queue", "jobs", f"the attacker's own job is {first.get('status')} after {_PATIENCE:g} s: jeex logs worker"
        )
        return
    _own(arena)
    _foreign(arena)
    _forged(arena)


def _own(arena: Arena) -> None:
    """What one's own export holds: one's own."""
    api, attacker, victim, evidence = arena.api, arena.attacker, arena.victim, arena.evidence
    answer = api.ask("GET", f"/api/v1/jobs/{attacker.ids['job'][0]}/result", attacker.key)
    texts = _texts(answer)
    if attacker.tag not in texts:
        evidence.untried("queue", "one's own export", f"it does not hold what it should: {answer.said}")
        return
    shown = victim.shown_in(texts)
    hole = f"the export of one tenant's project holds another's rows: {shown}"
    evidence.judged(
        "queue", "what one's own export holds", holds=not shown, refusal="one's own alone", hole=hole, close=_JOBS
    )


def _foreign(arena: Arena) -> None:
    """A job of the attacker's that names the victim's project, as if the API had not looked."""
    api, attacker, victim, evidence = arena.api, arena.attacker, arena.victim, arena.evidence
    what = "a job that is to export the other's project"
    job_id = canaries.enqueue(arena.session, attacker, victim.ids["project"][0])
    job = _over(api, attacker, job_id)
    result = api.ask("GET", f"/api/v1/jobs/{job_id}/result", attacker.key)
    shown = victim.shown_in(f"{job.get('error')} {job.get('message')} {_texts(result)}", but=(victim.ids["project"][0],))
    if shown or job.get("status") == "done":
        hole = f"a job of one tenant's exports another's project: it shows {shown or 'that it is there'}"
        evidence.hole("queue", what, hole, _JOBS)
    elif job.get("status") == "dead" and result.status in (404, 409):
        evidence.refused("queue", what, str(job.get("error")))
    else:
        evidence.untried("queue", what, f"the job is {job.get('status')} after {_PATIENCE:g} s")


def _forged(arena: Arena) -> None:
    """A job of the victim's that is due tomorrow: whoever has it done today goes by a message that we have not signed."""
    api, attacker, victim, evidence = arena.api, arena.attacker, arena.victim, arena.evidence
    names = {}
    job_id = victim.waiting
    if not arena.redis.exists(_STREAM):
        evidence.untried("queue", "forged messages", "there is no stream of messages that a worker reads")
        return
    for what, envelope in _envelopes(victim.tenant_id, job_id):
        names[what] = _send(arena.redis, envelope)
    # What is sent after them is done after they were read.
    control = api.made(f"/api/v1/projects/{attacker.ids['project'][0]}/export", attacker.key)["id"]
    done = _over(api, attacker, control).get("status") == "done"
    time.sleep(_SETTLED)
    job = api.ask("GET", f"/api/v1/jobs/{job_id}", victim.key).json or {}
    for entry in names.values():
        arena.redis.xdel(_STREAM, entry)
    for what in names:
        if job.get("status") != "queued" or job.get("attempts") != 0:
            evidence.hole("queue", what, f"a worker does what {what} says: the other's job is {job.get('status')}", _CLOSE)
        elif not done:
            evidence.untried("queue", what, f"nobody read it: what was sent after it is not done after {_PATIENCE:g} s")
        else:
            evidence.refused("queue", what, "the worker has read it, and the job still waits")


def _envelopes(tenant_id: uuid.UUID, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    message = {"tenant": str(tenant_id), "job": job_id, "attempts": 0}
    text = f"jeex.job.1|{tenant_id}|{job_id}|0".encode()
    mine = hmac.new(b"a-key-of-the-attacker-s-own-making!!", text, hashlib.sha256).hexdigest()
    return [
        ("a message signed with another key", {**message, "signature": mine}),
        ("a message with an empty signature", {**message, "signature": ""}),
        ("a message without a signature", message),
    ]


def _send(redis: Redis, envelope: dict[str, Any]) -> Any:
    """A message as streaQ writes it; its id in the stream."""
    task = f"{FORGED}{uuid.uuid4().hex}"
    now = int(time.time() * 1000)
    data = {"f": "carry", "a": [envelope], "k": {}, "t": now}
    redis.set(f"streaq:jeex:task:data:{task}", json.dumps(data), ex=3600)
    return redis.xadd(_STREAM, {"task_id": task, "enqueue_time": now})


def _over(api: Api, one: Canary, job_id: str, ends: float = 0.0) -> dict[str, Any]:
    """The job once it is finished, or as it is when that takes too long."""
    ends, job = ends or time.monotonic() + _PATIENCE, dict[str, Any]()
    while time.monotonic() < ends:
        job = api.ask("GET", f"/api/v1/jobs/{job_id}", one.key).json or {}
        if str(job.get("status")) in _OVER:
            break
        time.sleep(0.05)
    return job


def _texts(answer: Answer) -> str:
    """What stands in the files of an archive, or in an answer that is none."""
    if answer.status != 200:
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return "\n".join([*archive.namelist(), *(archive.read(name).decode() for name in archive.namelist())])


def settle(api: Api, pair: Iterable[Canary]) -> None:
    """Until every export of the two is finished: then their rows stand still. Gives up after a while."""
    ends = time.monotonic() + _PATIENCE
    for one in pair:
        for job in api.ask("GET", "/api/v1/jobs?limit=100", one.key).json["items"]:
            if job["kind"] == "project.export" and job["id"] != one.waiting:
                _over(api, one, job["id"], ends)

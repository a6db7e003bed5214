"""Rotating every kind of secret under steady traffic, and what it costs to check a token.

Requests come at a fixed rate, whatever the answers take: reads and writes with a token, tokens for a key; at last sign-ins
with passwords as well. For a while without a rotation, then with one of each kind again and again, in turns.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from migrations import runner
from service.adapters.signing import LocalSigner
from service.adapters.vault import Vault
from service.adapters.vault_keys import VaultKeys
from service.adapters.vault_logins import VaultLogins
from service.adapters.vault_secrets import VaultSecrets
from service.core.settings import Secret
from service.services import vault_setup
from service.services.rotation import API_PEPPER, KINDS, Rotation
from service.services.tokens import Tokens
from tests.bench.machine import REST, pin, start_api
from tests.integration.service.client import Client
from tests.integration.service.conftest import make_tenant
from tests.integration.service.processes import Service
from tests.integration.service.servers import OpenBao, Postgres

RATE = 300  # requests a second
ROUNDS = 3  # of a while without a rotation, then one with: in turn, so that a busy moment of the machine meets both
CALM, BUSY, PAUSE = 12.0, 16.0, 3.0  # seconds; the last between two rotations
ANNOUNCED = 10  # seconds that a new key waits, so that several come into use meanwhile
PEOPLE = 12  # who sign in, each a few times a minute
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Sample:
    """One answer: when it was asked for, the seconds until it came, and its status."""

    at: float
    seconds: float
    status: int


@dataclass
class Samples:
    """What was asked: with a key or a token, and with a password, which takes a core for a while."""

    requests: list[Sample] = field(default_factory=list)
    sign_ins: list[Sample] = field(default_factory=list)

    def add(self, other: Samples) -> None:
        self.requests += other.requests
        self.sign_ins += other.sign_ins


@dataclass
class Load:
    """Asks one API, over a few connections."""

    port: int
    key: str
    token: str
    user_id: str
    samples: Samples = field(default_factory=Samples)
    kids: Counter[str] = field(default_factory=Counter)
    idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=deque)

    async def run(self, seconds: float, *, sign_ins: bool = False) -> None:
        """RATE requests a second, of a hundred one for a token and ten that write; with `sign_ins` one a second beside them.

        A sign-in takes a core for a tenth of a second, which others feel: times are taken without.
        """
        tasks = []
        began = time.perf_counter()
        for number in itertools.count():
            due = began + number / RATE
            if due > began + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._one(number)))
            if sign_ins and number % RATE == 0:
                tasks.append(asyncio.create_task(self._sign_in(number // RATE)))
        await asyncio.gather(*tasks)

    async def _sign_in(self, number: int) -> None:
        body = {"tenant": "acme", "email": f"p{number % PEOPLE}@acme.example", "password": PASSWORD}
        await self._ask(self.samples.sign_ins, "POST", "/api/v1/sign-in", {}, body)

    async def _one(self, number: int) -> None:
        bearer = {"Authorization": f"Bearer {self.token}"}
        to = self.samples.requests
        if number % 100 == 0:
            answer = await self._ask(to, "POST", "/api/v1/tokens", {"Authorization": f"Bearer {self.key}"}, None)
            if answer:
                self.kids[kid(answer["access_token"])] += 1
        elif number % 10 == 0:
            path, change = f"/api/v1/users/{self.user_id}", {"display_name": f"A{number}"}
            await self._ask(to, "PATCH", path, {**bearer, "If-Match": "*"}, change)
        else:
            await self._ask(to, "GET", "/api/v1/projects?limit=10", bearer, None)

    async def _ask(self, samples: list[Sample], method: str, path: str, headers: dict[str, str], body: object) -> Any:
        began = time.perf_counter()
        # The one that has idled longest: none may idle for so long that the API closes it.
        reader, writer = self.idle.popleft() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        content = json.dumps(body).encode() if body is not None else b""
        sent = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        start = answer.index(b"content-length:") + 15
        text = await reader.readexactly(int(answer[start : answer.index(b"\r", start)]))
        status = int(answer[9:12])
        samples.append(Sample(began, time.perf_counter() - began, status))
        if status < 400:
            self.idle.append((reader, writer))
            return json.loads(text) if text else None
        print(f"    {method} {path}: {status} {text[:200]!r}")
        writer.close()
        return None

    def take(self) -> Samples:
        """What was measured since the last time."""
        taken, self.samples = self.samples, Samples()
        return taken


def main() -> None:
    """Print failures and p99 before and during rotations, then the cost of checking a token."""
    with tempfile.TemporaryDirectory(prefix="jeex-bench-") as folder, _stage(Path(folder)) as (load, rotation, logins):
        calm, busy, people = Samples(), Samples(), Samples()
        rotated: list[tuple[str, float]] = []
        kinds = itertools.cycle(KINDS)

        async def work() -> None:
            await load.run(5)  # warm
            load.samples = Samples()
            for _ in range(ROUNDS):
                await load.run(CALM)
                calm.add(load.take())
                done, _ = await asyncio.gather(_rotate(rotation, logins, kinds), load.run(BUSY))
                rotated.extend(done)
                busy.add(load.take())
            peppers = _rotate(rotation, logins, itertools.repeat(API_PEPPER))
            await asyncio.gather(peppers, load.run(BUSY, sign_ins=True))
            people.add(load.take())

        uvloop.run(work())
        print(
            f"\nRotation under {RATE} requests a second ({ROUNDS} times {CALM:g} s without, then {BUSY:g} s with rotations, "
            f"{len(rotated)} in all)"
        )
        failed = sum(one.status >= 400 for one in (*calm.requests, *busy.requests))
        ratio = _p99(busy.requests) / _p99(calm.requests)
        print(
            f"  requests {len(busy.requests):6} meanwhile, {failed} failed (0: {'yes' if not failed else 'NO'})   "
            f"p99 without {_p99(calm.requests) * 1000:.1f} ms, with {_p99(busy.requests) * 1000:.1f} ms, {ratio:.2f}x "
            f"(at most 2x: {'yes' if ratio <= 2 else 'NO'})"
        )
        failed = sum(one.status >= 400 for one in (*people.requests, *people.sign_ins))
        print(
            f"  sign-ins {len(people.sign_ins):6} while peppers change, beside {len(people.requests)} requests, "
            f"{failed} failed (0: {'yes' if not failed else 'NO'})"
        )
        for kind in KINDS:
            moments = [at for name, at in rotated if name == kind]
            near = [one for one in busy.requests if any(0 <= one.at - at < PAUSE for at in moments)]
            print(f"    {kind:<12}{len(moments)} times; p99 in the {PAUSE:g} s after each {_p99(near) * 1000:6.1f} ms")
        print(f"  keys that signed: {dict(sorted(load.kids.items()))}; one token of the first key was used all the time")
    _verification()


@contextmanager
def _stage(folder: Path) -> Iterator[tuple[Load, Rotation, VaultLogins]]:
    postgres = Postgres(folder / "postgres")
    openbao = OpenBao(folder / "vault", postgres)
    api: Service | None = None
    operator: Vault | None = None
    try:
        postgres.create()
        postgres.start()
        postgres.bootstrap()
        runner.upgrade(postgres.url("owner"))
        openbao.prepare()
        openbao.start()
        seed = Service("seed", openbao.seed_settings(), folder / "seed.log")
        assert seed.run() == 0, seed.log.read_text()
        place = {"DATABASE_URL": postgres.place("jeex"), "DATABASE_ADMIN_URL": postgres.place("jeex")}
        waits = {"JWT_ANNOUNCED": str(ANNOUNCED), "VAULT_POLL": "1"}
        api = start_api({**place, **waits, **openbao.settings()}, folder / "api.log")
        for process in (postgres.process, openbao.process):
            assert process is not None
            pin(process.pid, REST)
        made = make_tenant(postgres.url("admin"))
        owner = Client(api, made.key.reveal())
        for number in range(PEOPLE):
            owner.made("/users", email=f"p{number}@acme.example", display_name="P", password=PASSWORD)
        for number in range(20):
            owner.made("/projects", slug=f"p{number}", name="P")
        token = owner.post("/tokens").body["access_token"]
        operator = Vault(openbao.address)
        operator.sign_in(vault_setup.OPERATOR, Secret(openbao.secret_id))
        logins = VaultLogins(operator)
        rotation = Rotation(VaultSecrets(operator), VaultKeys(operator), logins, announced=ANNOUNCED)
        yield Load(api.port, made.key.reveal(), token, str(made.owner.id)), rotation, logins
    finally:
        if operator is not None:
            operator.close()
        if api is not None:
            api.stop()
        openbao.stop()
        postgres.stop()


async def _rotate(rotation: Rotation, logins: VaultLogins, kinds: Iterator[str]) -> list[tuple[str, float]]:
    """One kind after the other, until the time is up; when each began. A turn of logins is waited for."""
    done: list[tuple[str, float]] = []
    ends = time.perf_counter() + BUSY - PAUSE

    def turn(kind: str) -> None:
        before = logins.leases("app") if kind == "database" else set()
        rotation.rotate(kind)
        while before and before & logins.leases("app"):
            time.sleep(0.2)

    while time.perf_counter() < ends:
        kind = next(kinds)
        done.append((kind, time.perf_counter()))
        await asyncio.to_thread(turn, kind)
        await asyncio.sleep(PAUSE)
    return done


def _verification() -> None:
    """Microseconds for a token that was seen before, as all but the first request with it, and for the first."""
    import uuid

    async def work() -> tuple[float, float]:
        signer = LocalSigner()
        tokens = Tokens(signer)
        who = {"tenant_id": uuid.uuid4(), "tenant_slug": "acme", "user_id": uuid.uuid4(), "role": "member"}
        texts = [(await tokens.issue(**who)).value.reveal() for _ in range(500)]  # type: ignore[arg-type]
        first = await _each(tokens.verify, texts)
        again = await _each(tokens.verify, texts)
        return first, again

    first, again = uvloop.run(work())
    print(
        f"  checking a token: {again * 1e6:.1f} us a request (at most 150: {'yes' if again < 150e-6 else 'NO'}); "
        f"the first time {first * 1e6:.0f} us, {first / again:.0f}x"
    )


async def _each(what: Callable[[str], Coroutine[Any, Any, object]], texts: list[str]) -> float:
    times = []
    for text in texts:
        began = time.perf_counter()
        await what(text)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _p99(samples: list[Sample]) -> float:
    return statistics.quantiles([one.seconds for one in samples], n=100)[98] if len(samples) > 1 else float("nan")


def kid(token: str) -> str:
    """The key that signed a token."""
    import jwt

    return str(jwt.get_unverified_header(token)["kid"])


if __name__ == "__main__":
    main()

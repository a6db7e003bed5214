"""Whether the servers that answer on the stack's ports are the stack's own: each is started with the id of its instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jeex_cli.checks.base import Check, Verdict, fail, ok, skipped, unknown, warn
from jeex_cli.checks.repairs import StartStack


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers on a service's port. `instance` is the id that it gives: "" for none, None where it did not say.

    `open`: something listens there. `who` is what does, where it is not ours. `runs`: jeex has a process for this service.
    """

    title: str
    port: int
    open: bool
    runs: bool
    instance: str | None
    problem: str
    who: str


@dataclass(frozen=True, slots=True)
class Identities:
    """Every service that can be asked, by name; `ours` is this stack's id."""

    ours: str
    answering: Mapping[str, Answering]


def _judge(service: str) -> Callable[[Identities], Verdict]:
    def judge(facts: Identities) -> Verdict:  # noqa: PLR0911 - a table
        if not facts.ours:
            return skipped("this stack has no id yet: jeex up makes one")
        one = facts.answering.get(service)
        if one is None or not (one.open or one.runs):
            return skipped(f"{one.title if one else service} does not run")
        if not one.open:
            return unknown(
                f"{one.title} runs, but does not answer on 127.0.0.1:{one.port}", fix="jeex up; jeex logs " + service
            )
        where = f"127.0.0.1:{one.port}"
        if one.instance == facts.ours:
            return ok(f"{where} is answered by this stack's {one.title}")
        fix = "jeex ports shows who it is; end that, then jeex up; or jeex up alone, which takes another port"
        if one.instance:
            return fail(
                f"{where} is answered by another stack's {one.title} (instance {one.instance}), not by this one's",
                filter(None, [one.who]),
                fix=fix,
                code="NOT_OURS",
            )
        if not one.runs:
            return fail(
                f"{where} is answered by something that is not this stack's {one.title}", [one.who], fix=fix, code="NOT_OURS"
            )
        if one.instance is None:
            return unknown(
                f"{one.title} does not say whose it is ({one.problem})", fix="jeex doctor, for what keeps it from that"
            )
        return warn(
            f"this stack's {one.title} was started without the stack's id: by an older version of jeex",
            fix="jeex up starts it anew",
            repair=StartStack(),
        )

    return judge


_TITLES = {"postgres": "PostgreSQL", "redis": "Redis", "vault": "Vault", "api": "the API", "frontend": "the frontend"}

CHECKS = tuple(
    Check(
        f"identity-{name}",
        "identity",
        f"what answers on the port of {title} is this stack's",
        f"Another checkout's {title}, or one that was started by hand, may have the port: data goes astray then. "
        "Servers are started with JEEX_INSTANCE and say it when they are asked.",
        Identities,
        _judge(name),
        (name,),
    )
    for name, title in _TITLES.items()
)

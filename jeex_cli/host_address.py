"""The addresses that containers use among themselves, as a process of this machine needs them.

compose.yaml is written for containers: there the database is `postgres:5432`. Without Docker the same environment goes to
processes of this machine, for which it is `127.0.0.1:5220`. No value says of itself that it is an address, so:

- `postgres:5432` inside a value is one where it stands as host and port do: at the start or behind `@`, `/`, `,`, `=`, a
  quote or a space, and followed by the end, a path, another of a list... `postgres:5432@` and `postgres:54321` are none.
- A value that is a service's name and nothing else (PGHOST: postgres) is its host, unless the variable's last word says
  that it is something else: a user, a password and a database may be called `postgres` as well.
- A *PORT (PGPORT: "5432") is the port of the service that the *HOST next to it names. Where that is the container itself
  (API_HOST: 0.0.0.0) it is the port to listen on, and here that has to be the published one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HOST = "127.0.0.1"

Ports = tuple[int, int]  # published, in the container

_NO_HOST = re.compile(
    r"AUTH|DATABASE|DB|DBNAME|ID|KEY|LEVEL|LOGIN|MODE|NAME|NAMESPACE|PASS|PASSWD|PASSWORD|PREFIX|PW|ROLE|SCHEMA|SECRET"
    r"|TOKEN|TYPE|USER|USERNAME"
)
_HOST_WORDS = ("HOST", "HOSTNAME", "ADDR", "ADDRESS", "SERVER")
_ITSELF = ("", "*", "0.0.0.0", "::", "[::]", "127.0.0.1", "::1", "localhost")  # noqa: S104 - compared with, not bound to


def rewritten(environment: Mapping[str, str], services: Mapping[str, Ports], own: Ports | None) -> dict[str, str]:
    """`environment` for a process of this machine. `services` are those that publish a port, `own` is the process's."""
    hosts = {key: services[value] for key, value in environment.items() if value in services and _may_be_host(key)}
    names = "|".join(re.escape(f"{name}:{container}") for name, (_, container) in services.items())
    address = re.compile(rf"(?<![^@/,;=\s\"'(\[{{<|&])(?:{names})(?=[/?#,;&\s\"')\]}}>|]|$)")

    def published(found: re.Match[str]) -> str:
        return f"{HOST}:{services[found[0].rpartition(':')[0]][0]}"

    def one(key: str, value: str) -> str:
        if key in hosts:
            return HOST
        if key.upper().endswith("PORT"):
            candidates = _candidates(key, environment, hosts, own)
            return next((str(host) for host, container in candidates if value == str(container)), value)
        return address.sub(published, value) if services else value

    return {key: one(key, value) for key, value in environment.items()}


def _may_be_host(key: str) -> bool:
    return _NO_HOST.fullmatch(key.upper().rpartition("_")[2].removeprefix("PG")) is None


def _candidates(key: str, environment: Mapping[str, str], hosts: Mapping[str, Ports], own: Ports | None) -> list[Ports]:
    """The ports that the *PORT called `key` may stand for."""
    itself = [own] if own else []
    for beside in (key[:-4] + word for word in _HOST_WORDS):
        if beside in hosts:
            return [hosts[beside]]
        if beside in environment:
            return itself if environment[beside] in _ITSELF else []
    return [*itself, *hosts.values()]

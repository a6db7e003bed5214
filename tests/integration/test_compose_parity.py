"""What jeex reads out of compose.yaml is what Docker Compose reads: its own binary is asked.

The two runtimes run the same stack only while this holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jeex_cli.errors import ConfigError
from jeex_cli.project import bundled
from jeex_cli.stack import Stack
from tests.integration.compose_oracle import Project, Refused

CONDITIONS = {"started": "service_started", "healthy": "service_healthy", "completed": "service_completed_successfully"}


def assert_same(ours: Stack, theirs: dict[str, Any]) -> None:
    assert ours.project == theirs["name"]
    assert {service.name for service in ours.services} == set(theirs["services"])
    started: list[str] = []
    for service in ours.services:
        their = theirs["services"][service.name]
        given = {name: value for name, value in (their.get("environment") or {}).items() if value is not None}
        assert service.environment == given, service.name
        assert service.image == their["image"]
        assert list(service.command) == (their.get("command") or [])
        published = [(int(port["published"]), port["target"]) for port in their.get("ports", [])]
        assert published == ([] if service.host_port is None else [(service.host_port, service.container_port)])
        needs = {name: need["condition"] for name, need in their.get("depends_on", {}).items()}
        assert {name: CONDITIONS[need] for name, need in service.needs.items()} == needs
        assert set(needs) <= set(started), f"{service.name} starts before what it needs"
        assert list(service.profiles) == their.get("profiles", [])
        started.append(service.name)


ENV = r"""
# ports and versions
JEEX_PROJECT=My.Second-Stack
JEEX_POSTGRES_VERSION=16
export JEEX_POSTGRES_PORT=6220
JEEX_API_PORT: 6210 # the API
JEEX_FRONTEND_PORT='6200'
JEEX_REDIS_PASSWORD="it's \"quoted\" \$HOME \\ and # no comment"
JEEX_DB_APP_PASSWORD=${JEEX_POSTGRES_VERSION}-$JEEX_API_PORT
JEEX_DB_OWNER_PASSWORD='literal $JEEX_API_PORT'
JEEX_LOG_LEVEL=
JEEX_POSTGRES_SHARED_BUFFERS="64MB"
JEEX_VAULT_IMAGE=${NOWHERE:-openbao/openbao}:${NOWHERE-2.8}
"""


@pytest.mark.parametrize(
    "profiles", [(), ("vector",), ("worker",), ("vector", "observability"), ("*",), ("unknown",)], ids=str
)
@pytest.mark.parametrize(
    ("env", "environ"),
    [
        (None, {}),
        (ENV, {}),
        (ENV, {"JEEX_API_PORT": "7210", "JEEX_LOG_LEVEL": "debug", "JEEX_REDIS_PASSWORD": "", "JEEX_VAULT_PORT": "7250"}),
        (bundled(".env.example").read_text(encoding="utf-8"), {"COMPOSE_PROJECT_NAME": "other"}),
    ],
    ids=["no-env", "env", "environment-over-env", "example"],
)
def test_our_stack_is_read_as_compose_reads_it(
    tmp_path: Path, env: str | None, environ: dict[str, str], profiles: tuple[str, ...]
) -> None:
    project = Project(tmp_path, env=env, environ=environ, profiles=profiles)
    assert_same(project.ours(), project.theirs())


def test_a_file_with_everything_that_jeex_reads_is_read_as_compose_reads_it(tmp_path: Path) -> None:
    compose = r"""
name: ${STACK:-Every Thing}
x-base: &base { image: "base:${TAG:-1}", x-jeex: { title: Base }, environment: &env { A: 1, B: two } }
services:
  last: { <<: *base, depends_on: { words: { condition: service_healthy }, scalars: { condition: service_started } } }
  scalars:
    <<: *base
    environment:
      <<: [{ B: three, C: first }, *env]
      PLAIN: [ ]
"""
    compose = compose.replace("      PLAIN: [ ]\n", "".join(f"      N{i}: {text}\n" for i, text in enumerate(SCALARS)))
    compose += r"""
  list:
    image: i
    x-jeex: {}
    environment: [A=1, A=2, EMPTY=, "SPACED= a = b ", "${TAG:-T}=x", FROM_ENV, FROM_OUTSIDE, NOWHERE]
    ports: ["6000:7000"]
    depends_on: { scalars: { condition: service_started, required: true, restart: true } }
  words:
    image: i
    x-jeex: {}
    ports: [22:22]
    command: "a 'b c' \"d\\n\\\"e\\\"\" f\\ g $$HOME ${TAG:-x y} 2>/dev/null | tail"
  long: { image: i, x-jeex: {}, ports: [{ target: 80, published: "${P:-8080}", host_ip: 127.0.0.1, mode: host }] }
  six: { image: i, x-jeex: {}, ports: ["[::1]:6001:7001/tcp"], command: "", depends_on: [long] }
  zero: { image: i, x-jeex: {}, ports: ["+06002:07002"], command: [], profiles: [] }
  two: { image: i, x-jeex: {}, ports: ["127.0.0.1:6003:80", "127.0.0.1:6003:80"], profiles: [a, b] }
  three: { image: i, x-jeex: {}, depends_on: { two: { condition: service_completed_successfully } }, profiles: [b] }
"""
    for profiles in ((), ("b",)):
        project = Project(tmp_path, compose, env="FROM_ENV=e\nTAG=\n", environ={"FROM_OUTSIDE": "o"}, profiles=profiles)
        assert_same(project.ours(), project.theirs())


SCALARS = [
    *("true", "False", "yes", "off", "~", "null", '""', "'x'", "=", "1:30", "190:20:30", "_1", "1e400", "0o8"),
    *("0", "01", "010", "0o17", "0x1F", "0b11", "1_000", "1__0", "+7", "-7", "-0", "-0x10", "08"),
    *("18446744073709551615", "18446744073709551616", "99999999999999999999", "-9223372036854775809"),
    *("1.0", "1.10", "1e3", "1e6", "999999.0", "1234567.5", "0.0001", "0.00001", ".5", "5.", "-.5", "1e21", "-0.0"),
]


# Keys of service a and, behind a |, of service b.
WRONG = {
    "cycle": "depends_on: [b] | depends_on: [a]",
    "needs itself": "depends_on: [a]",
    "unknown need": "depends_on: [c]",
    "unknown need, although optional": "depends_on: {c: {condition: service_started, required: false}}",
    "need that is not active": "depends_on: [b] | profiles: [p]",
    "unknown condition": "depends_on: {b: {condition: done}}",
    "no condition": "depends_on: {b: {}}",
    "port is a word": "ports: ['${P:-x}:80']",
    "port too large": "ports: ['70000:80']",
    "container port too large": "ports: ['80:70000']",
    "port negative": "ports: ['-1:80']",
    "port on a name": "ports: ['localhost:80:80']",
    "ports is text": "ports: '80:80'",
    "ports is null": "ports: null",
    "environment is null": "environment: null",
    "environment is a list of numbers": "environment: [1]",
    "environment is nested": "environment: {A: {B: 1}}",
    "environment key is a number": "environment: {1: x}",
    "environment value is infinite": "environment: {A: .inf}",
    "command has a number": "command: [sleep, 10]",
    "command is never closed": "command: it's",
    "profiles is text": "profiles: p",
    "required in an x- key": "x-y: '${NONE:?}'",
    "required in a label": "labels: {b: '${NONE?}'}",
    "required in another profile": "profiles: [p], command: ['${NONE:?}']",
    "no variable in a key that jeex ignores": "hostname: '${'",
    "key twice": "command: [x], command: [y]",
    "merge of text": "<<: x",
    "alias of itself": "x-b: &b [*b]",
    "alias of nothing": "x-b: *b",
    "image is a number": "image: 5",
}


@pytest.mark.parametrize("keys", WRONG.values(), ids=WRONG)
def test_services_that_compose_refuses_are_refused(tmp_path: Path, keys: str) -> None:
    ours, _, others = keys.partition(" | ")
    image = "" if "image" in ours else "image: i, "
    services = f"  a: {{ x-jeex: {{}}, {image}{ours} }}\n  b: {{ x-jeex: {{}}, image: i, {others} }}\n"
    project = Project(tmp_path, f"services:\n{services}")
    with pytest.raises(ConfigError, match=r"compose\.yaml:2: "):
        project.ours()
    with pytest.raises(Refused):
        project.theirs()


@pytest.mark.parametrize("name", ["a b", "1", "null", "true", "é", "${A}", "''"])
def test_names_of_services_that_compose_refuses_are_refused(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path, f"services:\n  {name}: {{ image: i, x-jeex: {{}} }}\n")
    with pytest.raises(ConfigError):
        project.ours()
    with pytest.raises(Refused):
        project.theirs()

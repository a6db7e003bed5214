"""compose.yaml as a Stack. That our reading is Compose's is shown in tests/integration/test_compose_parity.py."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jeex_cli import stack
from jeex_cli.errors import ConfigError, UsageError
from jeex_cli.project import bundled
from jeex_cli.stack import HttpProbe, PostgresProbe, RedisProbe, Stack

OURS = bundled("compose.yaml")

Load = Callable[..., Stack]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a compose file given as text, dedented."""

    def load(text: str, variables: dict[str, str] | None = None, profiles: tuple[str, ...] = ()) -> Stack:
        file = tmp_path / "compose.yaml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return stack.load(file, variables or {}, profiles)

    return load


def service(**keys: Any) -> dict[str, Any]:
    return {"image": "i", "x-jeex": {}, **keys}


def compose(**services: Any) -> str:
    return json.dumps({"services": services})


def test_our_stack_as_it_is_without_settings() -> None:
    ours = stack.load(OURS, {})
    assert ours.project == "jeex"
    assert [one.name for one in ours.services] == [
        "postgres",
        "redis",
        "vault",
        "migrate",
        "seed",
        "api",
        "frontend",
        "worker",
    ]
    assert {one.name: one.host_port for one in ours.services if one.host_port} == {
        "postgres": 5220,
        "redis": 5240,
        "vault": 5250,
        "api": 5210,
        "frontend": 5200,
    }
    assert [one.name for one in ours.services if one.one_shot] == ["migrate", "seed"]
    probes = {one.name: one.probe for one in ours.services if one.probe}
    assert probes["postgres"] == PostgresProbe()
    assert probes["redis"] == RedisProbe()
    assert probes["api"] == HttpProbe("/ready")
    api = ours.service("api")
    assert (api.title, api.program, api.container_port) == ("API", "python", 8000)
    assert api.command == ("python", "-m", "service", "api")
    assert api.address == "http://127.0.0.1:5210/docs"
    assert api.needs == {
        "postgres": "healthy",
        "redis": "healthy",
        "vault": "healthy",
        "migrate": "completed",
        "seed": "completed",
    }
    assert ours.service("postgres").address is None


def test_a_service_of_a_profile_runs_when_it_is_asked_for() -> None:
    assert "qdrant" not in [one.name for one in stack.load(OURS, {}).services]
    assert stack.load(OURS, {}, ["vector"]).service("qdrant").host_port == 5230
    assert {"qdrant"} <= {one.name for one in stack.load(OURS, {}, ["*"]).services}
    assert stack.load(OURS, {}, ["unknown"]) == stack.load(OURS, {})


def test_a_process_of_this_machine_finds_the_published_ports() -> None:
    ours = stack.load(OURS, {"JEEX_POSTGRES_PORT": "6220", "JEEX_API_PORT": "6210", "JEEX_REDIS_PASSWORD": "redis"})
    api = ours.host_environment("api")
    assert api["DATABASE_URL"] == "postgresql://127.0.0.1:6220/jeex"
    static = stack.load(OURS, {"JEEX_DB_STATIC": "1", "JEEX_DB_APP_PASSWORD": "p"}).host_environment("api")
    assert static["DATABASE_URL"] == "postgresql://jeex_app:p@127.0.0.1:5220/jeex"
    assert ours.host_environment("seed")["DATABASE_LOGINS_URL"].endswith("@127.0.0.1:6220/jeex")
    assert api["REDIS_URL"] == "redis://:redis@127.0.0.1:5240/0"
    assert api["VAULT_ADDR"] == "http://127.0.0.1:5250"
    assert api["API_PORT"] == "6210"
    vault = ours.host_environment("vault")
    assert (vault["PGHOST"], vault["PGPORT"], vault["PGUSER"]) == ("127.0.0.1", "6220", "jeex_vault")
    assert ours.host_environment("redis")["REDISCLI_AUTH"] == "redis"
    assert ours.host_environment("postgres")["POSTGRES_USER"] == "postgres"
    assert ours.host_environment("frontend")["API_URL"] == "http://127.0.0.1:6210"


def test_an_unknown_service_is_a_usage_error_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'postgres'") as caught:
        stack.load(OURS, {}).service("postgers")
    assert (caught.value.code, caught.value.exit_code) == ("UNKNOWN_SERVICE", 2)
    assert "vault" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        stack.load(OURS, {}).host_environment("zzz")
    assert "did you mean" not in caught.value.message


def test_variables_are_those_named_anywhere_with_their_defaults(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("""\
name: ${JEEX_A}
services: { a: { image: "${JEEX_B:-x${JEEX_C-}}", labels: ["$JEEX_D ${OTHER:-1} $$JEEX_NOT", "${JEEX_A:-late}"] } }
x-more: &more { "${JEEX_KEY}": "${JEEX_E:?why} ${JEEX_F:+set}" }
x-again: *more
""")
    assert stack.variables(file) == {
        "JEEX_A": "late",
        "JEEX_B": "x${JEEX_C-}",
        "JEEX_C": "",
        "JEEX_D": None,
        "JEEX_E": None,
        "JEEX_F": None,
    }
    file.write_text("name: x\nservices: { a: { image: '${JEEX_' } }\n")
    with pytest.raises(ConfigError, match=r"compose\.yaml:2: "):
        stack.variables(file)


def test_services_start_after_what_they_need_and_otherwise_as_in_the_file(load: Load) -> None:
    text = compose(
        z=service(depends_on=["y"]),
        c=service(),
        y=service(depends_on={"b": {"condition": "service_completed_successfully"}}),
        b=service(),
    )
    loaded = load(text)
    assert [one.name for one in loaded.services] == ["c", "b", "y", "z"]
    assert [one.name for one in loaded.services if one.one_shot] == ["b"]
    assert loaded.service("z").needs == {"y": "started"}


def test_an_optional_need_that_is_not_active_is_left_out(load: Load) -> None:
    text = compose(
        a=service(depends_on={"b": {"condition": "service_started", "required": False}}),
        b=service(profiles=["extra"]),
    )
    assert load(text).service("a").needs == {}
    assert load(text, profiles=("extra",)).service("a").needs == {"b": "started"}


def test_yaml_means_what_it_means_to_compose(load: Load) -> None:
    text = """
    x-base: &base { image: i, x-jeex: { title: "${T:-Base}" }, environment: { A: 1 } }
    services:
      a:
        <<: *base
        ports: [22:22]
        environment: { YES: yes, OCTAL: 010, FLOAT: 1.10, BIG: 1e6, ON: true, TIME: 1:30, UNSET: , SET: , EMPTY: "" }
      b: { <<: [{ image: first }, *base], command: "run 'a b' \\"$$HOME\\"" }
    """
    loaded = load(text, {"SET": "from outside"})
    assert loaded.service("a").environment == {
        "YES": "yes",
        "OCTAL": "8",
        "FLOAT": "1.1",
        "BIG": "1e+06",
        "ON": "true",
        "TIME": "1:30",
        "SET": "from outside",
        "EMPTY": "",
    }
    assert (loaded.service("a").host_port, loaded.service("a").title) == (22, "Base")
    b = loaded.service("b")
    assert (b.image, b.command, b.environment) == ("first", ("run", "a b", "$HOME"), {"A": "1"})


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("name: My Stack!\n", {}, "mystack"),
        ("", {}, "the-folder"),
        ("name: ''\n", {}, "the-folder"),
        ("name: ${N:-one}-${COMPOSE_PROJECT_NAME}x\n", {}, "one-x"),
        ("name: one\n", {"COMPOSE_PROJECT_NAME": "two"}, "two"),
    ],
)
def test_the_project_is_named_as_compose_names_it(
    tmp_path: Path, text: str, variables: dict[str, str], expected: str
) -> None:
    file = tmp_path / "The-Folder" / "compose.yaml"
    file.parent.mkdir()
    file.write_text(text + "services: { a: { image: '${COMPOSE_PROJECT_NAME}', x-jeex: {} } }\n")
    loaded = stack.load(file, variables)
    assert (loaded.project, loaded.services[0].image) == (expected, expected)

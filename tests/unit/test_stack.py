"""compose.yaml as a Stack. That our reading is Compose's is shown in tests/integration/test_compose_parity.py."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

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
    assert [one.name for one in ours.services] == ["postgres", "redis", "vault", "migrate", "seed", "api", "frontend"]
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
    assert {"qdrant", "worker"} <= {one.name for one in stack.load(OURS, {}, ["*"]).services}
    assert stack.load(OURS, {}, ["unknown"]) == stack.load(OURS, {})


def test_a_process_of_this_machine_finds_the_published_ports() -> None:
    ours = stack.load(OURS, {"JEEX_POSTGRES_PORT": "6220", "JEEX_API_PORT": "6210", "JEEX_REDIS_PASSWORD": "redis"})
    api = ours.host_environment("api")
    assert api["DATABASE_URL"] == "postgresql://jeex_app:jeex-development-only@127.0.0.1:6220/jeex"
    assert api["REDIS_URL"] == "redis://:redis@127.0.0.1:5240/0"
    assert api["VAULT_ADDR"] == "http://127.0.0.1:5250"
    assert api["API_PORT"] == "6210"
    vault = ours.host_environment("vault")
    assert (vault["PGHOST"], vault["PGPORT"], vault["PGUSER"]) == ("127.0.0.1", "6220", "jeex_vault")
    assert ours.host_environment("redis")["REDISCLI_AUTH"] == "redis"
    assert ours.host_environment("postgres")["POSTGRES_USER"] == "postgres"
    assert ours.host_environment("frontend")["API_URL"] == "http://127.0.0.1:6210"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("URL", "postgresql://postgres:5432@postgres:5432/postgres", "postgresql://postgres:5432@127.0.0.1:5220/postgres"),
        ("URL", "postgresql://u:postgres:5432x@postgres:5432", "postgresql://u:postgres:5432x@127.0.0.1:5220"),
        ("URL", "postgres:5432,vault:8200", "127.0.0.1:5220,127.0.0.1:5250"),
        ("URL", "http://vault:8200?next=postgres:5432#x", "http://127.0.0.1:5250?next=127.0.0.1:5220#x"),
        ("URL", "--url=http://vault:8200/v1 --quiet", "--url=http://127.0.0.1:5250/v1 --quiet"),
        ("URL", '{"db": "postgres:5432"}', '{"db": "127.0.0.1:5220"}'),
        ("URL", "postgres:54321", "postgres:54321"),
        ("URL", "my-postgres:5432", "my-postgres:5432"),
        ("URL", "postgres.example.com:5432", "postgres.example.com:5432"),
        ("URL", "postgres:6432", "postgres:6432"),
        ("URL", "http://vault-2:8200", "http://vault-2:8200"),
        ("PGHOST", "postgres", "127.0.0.1"),
        ("CACHE", "vault", "127.0.0.1"),
        ("HOSTNAME", "vault", "127.0.0.1"),
        ("PGUSER", "postgres", "postgres"),
        ("PGDATABASE", "postgres", "postgres"),
        ("DB_PASSWORD", "postgres", "postgres"),
        ("PGHOST", "postgres2", "postgres2"),
        ("COUNT", "5432", "5432"),
        ("SUPPORT", "text", "text"),
        ("WEIRD", "me", "127.0.0.1"),
        ("LISTEN_PORT", "8000", "5210"),
    ],
)
def test_an_address_is_rewritten_and_nothing_else_is(load: Load, name: str, value: str, expected: str) -> None:
    text = compose(
        postgres=service(ports=["5220:5432"]),
        vault=service(ports=["5250:8200"]),
        me=service(ports=["5210:8000"], environment={name: value}),
        silent=service(),
    )
    assert load(text).host_environment("me") == {name: expected}


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({"PGHOST": "postgres", "PGPORT": "5432"}, "5220"),
        ({"DB_HOST": "postgres", "DB_PORT": 5432}, "5220"),
        ({"DB_PORT": "5432", "DB_ADDR": "postgres"}, "5220"),
        ({"DB_PORT": "5432", "SERVER": "postgres"}, "5220"),
        ({"DB_HOST": "postgres", "DB_PORT": "6432"}, "6432"),
        ({"DB_HOST": "replica", "DB_PORT": "5432", "OTHER": "postgres"}, "5221"),
        ({"DB_HOST": "db.example.com", "DB_PORT": "5432", "OTHER": "postgres"}, "5432"),
        ({"API_HOST": "0.0.0.0", "API_PORT": "8000"}, "5210"),  # noqa: S104 - what containers listen on
        ({"API_HOST": "example.com", "API_PORT": "8000"}, "8000"),
    ],
)
def test_a_port_in_a_variable_of_its_own_follows_its_host(load: Load, environment: dict[str, Any], port: str) -> None:
    text = compose(
        postgres=service(ports=["5220:5432"]),
        replica=service(ports=["5221:5432"]),
        me=service(ports=["5210:8000"], environment=environment),
    )
    name = next(key for key in environment if key.endswith("PORT"))
    assert load(text).host_environment("me")[name] == port


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


# Each text is dedented; the line is where the mistake is, what must be in the message, fix in the hint.
MISTAKES = [
    ("services: [\n", 1, "not valid YAML", "correct it"),
    ("a: 'never closed\n\n\n", 1, "not valid YAML", "line 1"),
    ("a: 1\n\tb: 2\n", 2, "not valid YAML", "line 2"),
    ("a: *nowhere\n", 1, "undefined alias", "line 1"),
    ("a: &a [*a]\nservices: {}\n", 1, "contains itself", "write out"),
    ("- a\n", 1, "not a compose file", "restore"),
    ("name: x\n", 1, "services", "restore"),
    ("services: { a: { image: i, x-jeex: {} } }\nname: [x]\n", 2, "name: text was expected", "quotes"),
    ("services: { a: { image: i, x-jeex: {} } }\nname: '!'\n", 2, "name:", "letters"),
    ("services: {}\ninclude: [x.yaml]\n", 2, "one file", "write the included services"),
    ("services:\n  a:\n", 2, "services.a: a mapping", "image"),
    ("services:\n  a: { image: i }\n", 2, "no `x-jeex` mapping", "x-jeex: { title: a }"),
    ("services:\n  a: { image: i, x-jeex: yes }\n", 2, "no `x-jeex` mapping", "x-jeex: { title: a }"),
    ("services:\n  a: { image: i, x-jeex: {} }\n  a: { image: j }\n", 3, "is in line 2 already", "keep one"),
    ("services:\n  a b: { image: i, x-jeex: {} }\n", 2, "not a service's name", "use letters"),
    ("services:\n  1: { image: i, x-jeex: {} }\n", 2, "a key that is no text", "quotes"),
    ("services:\n  a: { x-jeex: {} }\n", 2, "neither an image nor a build", "image: NAME:VERSION"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    extends: b\n", 5, "services.a.extends", "anchor"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    env_file: b\n", 5, "services.a.env_file", ".env"),
    (
        "services:\n  a:\n    image: i\n    x-jeex: { probe: { kind: tcp } }\n    ports: ['1:2']\n",
        4,
        "http, postgres, redis",
        "correct",
    ),
    (
        "services:\n  a:\n    image: i\n    x-jeex:\n      probe: 5\n    ports: ['1:2']\n",
        5,
        "http, postgres, redis",
        "correct",
    ),
    ("services:\n  a:\n    image: i\n    x-jeex: { probe: { kind: redis } }\n", 4, "published port", "ports"),
    ("services:\n  a:\n    image: i\n    x-jeex: { url: docs }\n", 4, "'docs' is no path", "/"),
    (
        "services:\n  a:\n    image: i\n    x-jeex: {}\n    ports:\n      - ${P:-abc}:5432\n",
        6,
        "'abc' is no port",
        "correct P in .env",
    ),
    (
        "services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: ['70000:5432']\n",
        5,
        "'70000' is no port",
        "127.0.0.1:5210:8000",
    ),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: ['0:5432']\n", 5, "'0' is no port", "127.0.0.1:5210:8000"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: [5432]\n", 5, "to chance", "127.0.0.1:5210:8000"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: ['localhost:1:2']\n", 5, "no IP address", "127.0.0.1"),
    (
        "services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: ['1:2/udp']\n",
        5,
        "not published over TCP",
        "127.0.0.1:5210:8000",
    ),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: [{ target: 5 }]\n", 5, "`published`", "127.0.0.1:5210:8000"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: ['1:2', '3:4']\n", 5, "one published port", "others out"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    ports: '1:2'\n", 5, "a list", "ports: ["),
    (
        "services:\n  a: { image: i, x-jeex: {}, ports: ['${A:-1}:2'] }\n  b: { image: i, x-jeex: {}, ports: ['1:2'] }\n",
        3,
        "a publishes 1 too",
        "another port",
    ),
    ('services:\n  a:\n    image: i\n    x-jeex: {}\n    command: "it\'s"\n', 5, "never closed", "as a list"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    command: [1]\n", 5, "services.a.command[0]", "quotes"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: {A: [1]}\n", 5, "services.a.environment.A", "quotes"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: {A: 2024-01-01}\n", 5, "date", "quotes"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: {A: .inf}\n", 5, "infinity", "quotes"),
    ('services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: {A: "\\0"}\n', 5, "NUL", "leave it out"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: ['=x']\n", 5, "variable's name", "correct"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    environment: x\n", 5, "a mapping or a list", "NAME: value"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    profiles: x\n", 5, "a list", "profiles: [...]"),
    ("services:\n  a:\n    image: !reset i\n    x-jeex: {}\n", 3, "!reset", "leave the tag out"),
    ("services:\n  a:\n    <<: 5\n    x-jeex: {}\n", 3, "`<<`", "anchor"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    depends_on: [b]\n", 5, "no service 'b'", "correct the name"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    depends_on: { b: }\n", 5, "`condition`", "service_healthy"),
    ("services:\n  a:\n    image: i\n    x-jeex: {}\n    depends_on: b\n", 5, "a mapping or a list", "condition"),
    (
        "services:\n  a: { image: i, x-jeex: {}, depends_on: [b] }\n  b: { image: i, x-jeex: {}, profiles: [p] }\n",
        2,
        "not active without its profile",
        "JEEX_PROFILES=p",
    ),
    (
        "services:\n  a: { image: i, x-jeex: {}, depends_on: [b] }\n  b: { image: i, x-jeex: {}, depends_on: [a] }\n",
        2,
        "a -> b -> a",
        "take one need out",
    ),
    (
        "services:\n  a:\n    image: ${TAG:?which one}\n    x-jeex: {}\n",
        3,
        "the variable TAG is required: which one",
        "TAG=...",
    ),
    ("x-unused:\n  a: ${TAG?}\nservices: {}\n", 2, "the variable TAG is required", "export TAG=..."),
    ("services:\n  a:\n    image: ${TAG\n    x-jeex: {}\n", 3, "services.a.image: `${TAG` is never closed", "correct"),
]


@pytest.mark.parametrize(("text", "line", "what", "fix"), MISTAKES)
def test_a_mistake_is_named_with_file_line_and_fix(load: Load, text: str, line: int, what: str, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert f"compose.yaml:{line}: " in caught.value.message
    assert what in caught.value.message
    assert fix in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, load: Load) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        stack.load(tmp_path / "compose.yaml", {})
    assert str(tmp_path) in caught.value.message
    with pytest.raises(ConfigError, match="is empty"):
        load("\n")
    (tmp_path / "compose.yaml").write_bytes(b"services: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        stack.load(tmp_path / "compose.yaml", {})


def test_a_project_name_that_compose_refuses_is_refused() -> None:
    with pytest.raises(ConfigError, match="COMPOSE_PROJECT_NAME is 'My Stack'"):
        stack.load(OURS, {"COMPOSE_PROJECT_NAME": "My Stack"})


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " + "{a: " * 100_000,
        "- " * 100_000,
        "a: " + "[" * 200 + "]" * 200,
        # every level doubles the one before: 2**40 values, if each were built
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
        "a0: &a0 { x: y }\n" + "".join(f"a{i}: &a{i} {{ <<: [*a{i - 1}, *a{i - 1}] }}\n" for i in range(1, 40)),
        "<<: &a { <<: &b { <<: *a } }\n",
    ],
)
def test_a_file_that_would_exhaust_the_machine_is_refused(load: Load, text: str) -> None:
    with pytest.raises(ConfigError):
        load(text)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "a:1:2", "1:2", "${", "${A:?}", "$A", "http"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "condition", "kind", "path", "target", "published", "<<", ""]), children, max_size=3
        )
    ),
    max_leaves=8,
)


def only_config_errors(folder: Path, text: str) -> None:
    file = folder / "compose.yaml"
    file.write_text(text, encoding="utf-8")
    for read in (lambda: stack.load(file, {"A": "1"}, ["p"]), lambda: stack.variables(file)):
        try:
            read()
        except ConfigError as error:
            assert str(file) in error.message
            assert error.hint


@settings(database=None, deadline=None, max_examples=200)
@given(
    key=st.sampled_from(
        ["image", "command", "environment", "ports", "depends_on", "profiles", "x-jeex", "extends", "build"],
    ),
    value=JSON,
)
def test_no_shape_of_a_service_escapes_as_anything_else(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    text = yaml.safe_dump({"services": {"a": service(**{key: value}), "b": service()}})
    only_config_errors(tmp_path_factory.getbasetemp(), text)


@settings(database=None, deadline=None, max_examples=100)
@given(JSON, st.sampled_from(["name", "services", "x-jeex", "include"]))
def test_no_shape_of_a_file_escapes_as_anything_else(tmp_path_factory: pytest.TempPathFactory, value: Any, key: str) -> None:
    only_config_errors(tmp_path_factory.getbasetemp(), yaml.safe_dump(value))
    only_config_errors(tmp_path_factory.getbasetemp(), yaml.safe_dump({"services": {"a": service()}, key: value}))


@settings(database=None, deadline=None, max_examples=150)
@given(st.data())
def test_no_damage_to_our_file_escapes_as_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = OURS.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 20))
    put = data.draw(st.text(st.sampled_from("${}[]:-?+*&!|>'\"#%@, \n\tab01\0\x7f\ufeff"), max_size=6))
    only_config_errors(tmp_path_factory.getbasetemp(), text[:start] + put + text[start + length :])

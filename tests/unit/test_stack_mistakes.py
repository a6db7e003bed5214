"""What is wrong with a compose.yaml is a ConfigError with file, line and fix, whatever the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jeex_cli import stack
from jeex_cli.errors import ConfigError
from jeex_cli.project import bundled

OURS = bundled("compose.yaml")


def refusal(folder: Path, text: str) -> ConfigError:
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        stack.load(folder / "compose.yaml", {})
    return caught.value


# The line is where the mistake is, what must be in the message, fix in the hint.
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
def test_a_mistake_is_named_with_file_line_and_fix(tmp_path: Path, text: str, line: int, what: str, fix: str) -> None:
    error = refusal(tmp_path, text)
    assert error.message.startswith(f"{tmp_path / 'compose.yaml'}:{line}: ")
    assert what in error.message
    assert fix in error.hint
    assert error.exit_code == 3


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        stack.load(tmp_path / "compose.yaml", {})
    assert str(tmp_path) in caught.value.message
    assert "is empty" in refusal(tmp_path, "\n").message
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
def test_a_file_that_would_exhaust_the_machine_is_refused(tmp_path: Path, text: str) -> None:
    refusal(tmp_path, text)


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
    (folder / "mistakes").mkdir(exist_ok=True)  # not in the folder itself: tests below it would find it there
    file = folder / "mistakes" / "compose.yaml"
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
    text = yaml.safe_dump({"services": {"a": {"image": "i", "x-jeex": {}, key: value}, "b": {"image": "i", "x-jeex": {}}}})
    only_config_errors(tmp_path_factory.getbasetemp(), text)


@settings(database=None, deadline=None, max_examples=100)
@given(JSON, st.sampled_from(["name", "services", "x-jeex", "include"]))
def test_no_shape_of_a_file_escapes_as_anything_else(tmp_path_factory: pytest.TempPathFactory, value: Any, key: str) -> None:
    only_config_errors(tmp_path_factory.getbasetemp(), yaml.safe_dump(value))
    only_config_errors(
        tmp_path_factory.getbasetemp(), yaml.safe_dump({"services": {"a": {"image": "i", "x-jeex": {}}}, key: value})
    )


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

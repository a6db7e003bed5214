"""Where a setting's value comes from."""

from __future__ import annotations

import pytest

from jeex_cli import settings
from jeex_cli.errors import ConfigError
from jeex_cli.settings import Settings, Value


def resolve(**layers: dict[str, str]) -> Settings:
    empty: dict[str, dict[str, str]] = {
        "flags": {},
        "environ": {},
        "remembered": {},
        "project_file": {},
        "defaults": {"JEEX_API_PORT": "5210"},
    }
    return settings.resolve(**{**empty, **layers})


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({}, Value("5210", "default")),
        ({"project_file": {"JEEX_API_PORT": "1"}}, Value("1", ".env")),
        (
            {"project_file": {"JEEX_API_PORT": "1"}, "remembered": {"JEEX_API_PORT": "2"}},
            Value("2", "remembered from `jeex up`"),
        ),
        ({"remembered": {"JEEX_API_PORT": "2"}, "environ": {"JEEX_API_PORT": "3"}}, Value("3", "environment")),
        ({"environ": {"JEEX_API_PORT": "3"}, "flags": {"JEEX_API_PORT": "4"}}, Value("4", "command line")),
    ],
)
def test_precedence(layers: dict[str, dict[str, str]], expected: Value) -> None:
    assert resolve(**layers).values["JEEX_API_PORT"] == expected


def test_only_jeex_variables_of_the_environment_count() -> None:
    assert "PATH" not in resolve(environ={"PATH": "/bin"}).values


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf", ""])
def test_a_timeout_that_is_no_positive_number_is_refused_with_its_source(text: str) -> None:
    with pytest.raises(ConfigError, match=r"JEEX_TIMEOUT.*environment"):
        resolve(environ={"JEEX_TIMEOUT": text})


def test_an_unknown_runtime_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, embedded, compose"):
        resolve(flags={"JEEX_RUNTIME": "k8s"})


def test_profiles_are_separated_by_commas_or_spaces() -> None:
    assert resolve(flags={"JEEX_PROFILES": "vector, worker"}).profiles == ("vector", "worker")


def test_ports_of_the_environment_are_remembered_and_secrets_are_not() -> None:
    kept = settings.to_remember({"JEEX_API_PORT": "1", "JEEX_REDIS_PASSWORD": "x", "JEEX_PROJECT": "p", "PATH": "y"})
    assert kept == {"JEEX_API_PORT": "1", "JEEX_PROJECT": "p"}


def test_every_generated_value_counts_as_secret() -> None:
    assert all(settings.is_secret(name) for name in settings.SECRETS)

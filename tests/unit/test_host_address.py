"""Addresses of containers, rewritten for processes of this machine."""

from __future__ import annotations

import pytest

from jeex_cli.host_address import rewritten


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
def test_an_address_is_rewritten_and_nothing_else_is(name: str, value: str, expected: str) -> None:
    services = {"postgres": (5220, 5432), "vault": (5250, 8200), "me": (5210, 8000)}
    assert rewritten({name: value}, services, (5210, 8000)) == {name: expected}


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({"PGHOST": "postgres", "PGPORT": "5432"}, "5220"),
        ({"DB_HOST": "postgres", "DB_PORT": "5432"}, "5220"),
        ({"DB_PORT": "5432", "DB_ADDR": "postgres"}, "5220"),
        ({"DB_PORT": "5432", "SERVER": "postgres"}, "5220"),
        ({"DB_HOST": "postgres", "DB_PORT": "6432"}, "6432"),
        ({"DB_HOST": "replica", "DB_PORT": "5432", "OTHER": "postgres"}, "5221"),
        ({"DB_HOST": "db.example.com", "DB_PORT": "5432", "OTHER": "postgres"}, "5432"),
        ({"API_HOST": "0.0.0.0", "API_PORT": "8000"}, "5210"),  # noqa: S104 - what containers listen on
        ({"API_HOST": "example.com", "API_PORT": "8000"}, "8000"),
    ],
)
def test_a_port_in_a_variable_of_its_own_follows_its_host(environment: dict[str, str], port: str) -> None:
    services = {"postgres": (5220, 5432), "replica": (5221, 5432), "me": (5210, 8000)}
    name = next(key for key in environment if key.endswith("PORT"))
    assert rewritten(environment, services, (5210, 8000))[name] == port


def test_a_stack_that_publishes_nothing_keeps_its_environment() -> None:
    environment = {"URL": "http://vault:8200", "PGHOST": "postgres", "PGPORT": "5432", "PORT": "8000"}
    assert rewritten(environment, {}, None) == environment

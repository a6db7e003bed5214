"""What a secret may be called and hold, what is written of it, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jeex_cli.errors import ConfigError, JeexError, Unhealthy, UsageError
from jeex_cli.ops import secret_rules as rules
from jeex_cli.ops import secrets, setting_rules
from jeex_cli.ops.failures import translated
from jeex_cli.ops.secret_rules import Value
from service.adapters.secret_store import LocalSecrets
from service.core.errors import Conflict, InvalidInput, NotFound, ServiceError, SettingsError, VaultUnavailable

NOW = datetime.now(UTC)


def held(store: LocalSecrets) -> dict[str, str]:
    found = store.get("jeex/a")
    assert found is not None
    return dict(found.values)


@pytest.mark.parametrize(
    "path", ["stripe", "mail/smtp", "a/b/c.d-e_f@g", "stripe live", "50%", "ключ", ".hidden", "a" * 256]
)
def test_a_path_stands_below_the_root(path: str) -> None:
    assert rules.checked(path) == f"jeex/{path}"
    assert rules.shown(rules.checked(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.",
        "../a",
        "a\nb",
        "a\x00",
        "a\tb",
        " a",
        "a ",
        "a/ b",
        "\u200b",
        "a" * 257,
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules.checked(path)
    assert caught.value.code == "PATH_INVALID"
    assert len(caught.value.message) < 250


def test_a_prefix_may_end_as_folders_do() -> None:
    assert rules.checked_prefix(None) == "jeex"
    assert rules.checked_prefix("mail/") == rules.checked_prefix("mail") == "jeex/mail"
    for prefix in ("", "/", "mail//"):
        with pytest.raises(UsageError):
            rules.checked_prefix(prefix)


@pytest.mark.parametrize("field", ["value", "api_key", "_x", "BODY_LIMIT", "a.b-c", "a" * 64])
def test_names_of_fields(field: str) -> None:
    assert rules.checked_field(field) == field


@pytest.mark.parametrize("field", ["", "key=sk_live_4242", "sk live 4242", "4242", "-x", "a\n", "ключ", "a" * 65])
def test_what_is_no_field_is_not_said_again(field: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules.checked_field(field)
    said = f"{caught.value} {caught.value.detail} {caught.value.hint}"
    assert "4242" not in said
    assert "stdin" in said


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"x", "x"),
        (b"x\n", "x"),
        (b"x\n\n", "x\n"),
        (b"\nx", "\nx"),
        (b" x ", " x "),
        ("ключ".encode(), "ключ"),
        (b"x" * 512 * 1024, "x" * 512 * 1024),
    ],
)
def test_a_value_is_what_came_in_without_its_line_end(raw: bytes, text: str) -> None:
    value = rules.decoded(raw, "jeex secrets set a")
    assert value.text == text
    assert repr(value) == "Value(***)"


@pytest.mark.parametrize("raw", [b"", b"\n", b"sk_live_\xff", b"sk_live_" + b"x" * 512 * 1024])
def test_a_value_that_cannot_be_one_is_not_said_again(raw: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        rules.decoded(raw, "jeex secrets set a")
    assert caught.value.code == "VALUE_INVALID"
    assert "sk_live" not in f"{caught.value} {caught.value.detail} {caught.value.__cause__}"
    assert caught.value.hint.endswith("| jeex secrets set a")


def test_ages() -> None:
    assert [rules.checked_age(text) for text in (None, "90d", " 12h ", "never", " never")] == [
        None,
        "90d",
        "12h",
        "never",
        "never",
    ]
    for text in ("", "0d", "soon", "-1d", "90"):
        with pytest.raises(UsageError):
            rules.checked_age(text)
    assert rules.parsed_age("90d") == timedelta(days=90)
    assert rules.parsed_age("what somebody wrote by hand") is rules.parsed_age(None) is None


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("api-pepper", "jeex secrets rotate api-pepper"),
        ("database", "jeex secrets rotate database"),
        ("rotation/jwt", "jeex secrets rotate jwt"),
    ],
)
def test_what_jeex_looks_after_is_not_written_by_hand(path: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        secrets.writable(path)
    assert (caught.value.code, caught.value.hint) == ("SECRET_MANAGED", hint)


def test_what_is_yours() -> None:
    assert [
        one for one in ("settings", "oauth/github", "rotation", "database/x", "api-peppers") if rules.is_managed(one)
    ] == []


def test_the_paths_that_jeex_looks_after_are_those_of_the_service() -> None:
    from service.services import secrets as declared
    from service.services.rotation import KINDS

    assert rules.is_managed(rules.shown(declared.PEPPER))
    assert rules.is_managed(rules.shown(declared.DATABASE))
    assert rules.shown(declared.SETTINGS) == setting_rules.PATH
    assert set(KINDS) == {"jwt", "api-pepper", "database"}


def test_a_written_field_leaves_the_others() -> None:
    store = LocalSecrets()
    assert secrets.write(store, "jeex/a", {"value": "1"}).version == 1
    made = secrets.write(store, "jeex/a", {"user": "u"}, max_age="90d")
    assert (made.path, made.version, made.changed, made.max_age) == ("a", 2, True, "90d")
    assert held(store) == {"value": "1", "user": "u"}

    # The note survives; writing what is there writes nothing.
    again = secrets.write(store, "jeex/a", {"user": "u"})
    assert (again.version, again.changed, again.max_age) == (2, False, "90d")
    assert secrets.write(store, "jeex/a", {"user": "v"}).max_age == "90d"
    never = secrets.write(store, "jeex/a", {"user": "v"}, max_age=rules.NEVER)
    assert (never.version, never.changed, never.max_age) == (3, True, None)
    assert secrets.write(store, "jeex/a", {"x": "y"}, keep=False).version == 4
    assert held(store) == {"x": "y"}


def test_who_has_seen_another_version_writes_nothing() -> None:
    store = LocalSecrets()
    for expected in (1, 2):
        with pytest.raises(Conflict):
            secrets.write(store, "jeex/a", {"value": "x"}, if_version=expected)
    assert secrets.write(store, "jeex/a", {"value": "1"}, if_version=0).version == 1
    assert secrets.write(store, "jeex/a", {"value": "2"}, if_version=1).version == 2
    with pytest.raises(Conflict) as caught:
        secrets.write(store, "jeex/a", {"value": "3"}, if_version=1)
    assert caught.value.code == "SECRET_CHANGED"
    assert [one.version for one in getattr(store.metadata("jeex/a"), "versions", ())] == [1, 2]


def test_a_deleted_version_keeps_no_field_of_the_next() -> None:
    store = LocalSecrets()
    secrets.write(store, "jeex/a", {"value": "1", "user": "u"})
    store.delete("jeex/a")
    assert secrets.write(store, "jeex/a", {"value": "1"}).version == 2
    assert held(store) == {"value": "1"}


def test_the_list_is_by_path_and_says_what_is_due() -> None:
    store = LocalSecrets(clock=lambda: datetime.now(UTC) - timedelta(hours=2))
    for path in ("jeex/b", "jeex/b/c/d", "jeex/a", "jeex/database", "jeex/gone"):
        secrets.write(store, path, {"value": "1"}, max_age="1h" if path != "jeex/a" else None)
    store.delete("jeex/gone")
    found = secrets.entries(store)
    assert [one.path for one in found] == ["a", "b", "b/c/d", "database", "gone"]
    assert [one.path for one in found if one.managed] == ["database"]
    assert [one.path for one in found if one.due] == ["b", "b/c/d", "database"]
    assert [one.path for one in found if one.deleted] == ["gone"]
    assert all(7199 < one.age < 7300 for one in found)
    assert [one.path for one in secrets.entries(store, "jeex/b")] == ["b", "b/c/d"]
    assert secrets.entries(store, "jeex/nothing") == []


def test_settings_are_those_that_the_service_reads() -> None:
    assert {"BODY_LIMIT", "ROTATE_API_PEPPER_AFTER", "DATABASE_URL"} <= set(setting_rules.known())
    setting_rules.check("BODY_LIMIT", Value("100000"))
    setting_rules.check("ROTATE_JWT_AFTER", Value("never"))
    for name, code in (
        ("BODY_LIMITS", "SETTING_UNKNOWN"),
        ("VAULT_ADDR", "SETTING_UNKNOWN"),
        ("ROTATE_AFTER", "SETTING_UNKNOWN"),
    ):
        with pytest.raises(UsageError) as caught:
            setting_rules.check(name, Value("1"))
        assert caught.value.code == code
    with pytest.raises(UsageError) as caught:
        setting_rules.check("ADMIN_KEY", Value("sk_live"))
    assert caught.value.code == "SETTING_INVALID"
    assert "sk_live" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "text", "hidden"),
    [
        ("BODY_LIMIT", "1000", False),
        ("ADMIN_KEY", "x", True),
        ("API_URL", "https://api.example.com", False),
        ("REDIS_URL", "redis://:x@127.0.0.1/0", True),
        ("DATABASE_URL", "postgresql://[", True),
    ],
)
def test_which_settings_are_not_shown(name: str, text: str, hidden: bool) -> None:
    assert setting_rules.looks_secret(name, text) is hidden


@pytest.mark.parametrize(
    ("error", "kind", "exit_code", "hint"),
    [
        (VaultUnavailable("x", code="VAULT_SEALED", hint="unseal it"), Unhealthy, 5, "jeex secrets unseal"),
        (VaultUnavailable("x", code="VAULT_UNREACHABLE"), Unhealthy, 5, "jeex up; jeex status"),
        (VaultUnavailable("x", code="VAULT_REFUSED", hint="put it back"), Unhealthy, 5, "put it back"),
        (VaultUnavailable("x", code="VAULT_DATABASE", hint="run the seed process"), Unhealthy, 5, "jeex secrets seed"),
        (Conflict("x", code="SECRET_CHANGED", hint="read it again"), JeexError, 1, "read it again"),
        (NotFound("x", code="TENANT_UNKNOWN"), JeexError, 1, "jeex tenant list"),
        (InvalidInput("x", field="issuer"), UsageError, 2, ""),
        (SettingsError("x"), ConfigError, 3, "jeex config show"),
    ],
)
def test_the_services_errors_are_jeexs(error: ServiceError, kind: type[JeexError], exit_code: int, hint: str) -> None:
    with pytest.raises(kind) as caught, translated():
        raise error
    assert (type(caught.value), caught.value.exit_code) == (kind, exit_code)
    assert (caught.value.code, caught.value.hint) == (error.code, hint)
    with pytest.raises(kind) as caught, translated({error.code: "jeex do that"}):
        raise error
    assert caught.value.hint == "jeex do that"

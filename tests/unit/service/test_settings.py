"""Settings: precedence, and mistakes named without their values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.core.errors import SettingsError
from service.core.settings import Secret, load

URL = "postgresql://jeex_app:s3cret@127.0.0.1:5220/jeex"


def file(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "settings.json"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_environment_wins_over_file_over_default(tmp_path: Path) -> None:
    path = file(tmp_path, json.dumps({"API_PORT": "1111", "API_HOST": "10.0.0.1", "LOG_LEVEL": "error"}))
    found = load({"SETTINGS_FILE": path, "API_PORT": "2222", "LOG_LEVEL": ""})
    assert (found.api_port, found.api_host, found.log_level, found.frontend_port) == (2222, "10.0.0.1", "error", 5200)


def test_vault_wins_over_default_only_and_never_says_where_vault_is(tmp_path: Path) -> None:
    vault = {
        "API_PORT": "1",
        "LOG_LEVEL": "debug",
        "BODY_LIMIT": "2048",
        "VAULT_ADDR": "http://elsewhere:1",
        "RATE_LIMIT": "",
    }
    found = load({"SETTINGS_FILE": file(tmp_path, '{"LOG_LEVEL": "error"}'), "API_PORT": "2222"}, vault=vault)
    assert (found.api_port, found.log_level, found.body_limit) == (2222, "error", 2048)
    assert (found.vault_addr, found.rate_limit) == ("", 6000)
    with pytest.raises(SettingsError, match="BODY_LIMIT is not"):
        load({}, vault={"BODY_LIMIT": "s3cret"})


def test_how_old_secrets_may_become() -> None:
    found = load({"ROTATE_JWT_AFTER": "12h", "ROTATE_API_PEPPER_AFTER": "never"}).rotate_after
    assert found == {"jwt": 12 * 3600, "database": 30 * 86_400, "api-pepper": None}


def test_no_secret_shows(tmp_path: Path) -> None:
    found = load({"DATABASE_URL": URL, "REDIS_URL": "redis://:s3cret@x:1/0", "VAULT_SECRET_ID": "s3cret"})
    assert found.database_url.reveal() == URL
    assert "s3cret" not in f"{found!r} {found} {found.database_url} {found.vault_secret_id!r}"
    assert not Secret()


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"DATABASE_URL": "mysql://x:s3cret@y/z"}, "DATABASE_URL is not a URL such as postgresql://host:port"),
        ({"DATABASE_URL": "postgresql://x:s3cret@y:port/z"}, "DATABASE_URL"),
        ({"API_PORT": "0"}, "API_PORT is not a whole number from 1 to 65535"),
        ({"API_PORT": "s3cret"}, "API_PORT"),
        ({"API_PORT": "1.5"}, "API_PORT"),
        ({"DATABASE_TIMEOUT": "nan"}, "DATABASE_TIMEOUT is not a number"),
        ({"LOG_LEVEL": "s3cret"}, "LOG_LEVEL is none of debug, info, warning, error"),
        ({"ROTATE_JWT_AFTER": "90"}, "ROTATE_JWT_AFTER is neither a time such as 90d or 12h nor never"),
        ({"CORS_ORIGINS": "http://ok:1,http://x/path"}, "CORS_ORIGINS holds 'http://x/path'"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS"),
        ({"API_URL": "http://x:1/'; script-src *"}, "API_URL"),
    ],
)
def test_mistakes_are_named(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert complaint in caught.value.message
    assert "s3cret" not in caught.value.message
    assert "\n" not in caught.value.message


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"API_PORT": "x", "LOG_LEVEL": "y"}, required=("DATABASE_URL",))
    assert all(name in caught.value.message for name in ("DATABASE_URL is missing", "API_PORT", "LOG_LEVEL"))


@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [
        ('{"A": "s3cret"', 0o600, "is not JSON"),
        ('["s3cret"]', 0o600, "is not a JSON object of texts"),
        ('{"API_PORT": 1}', 0o600, "is not a JSON object of texts"),
        ("{}", 0o640, "can be read by others"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, mode: int, complaint: str) -> None:
    path = file(tmp_path, text, mode)
    with pytest.raises(SettingsError) as caught:
        load({"SETTINGS_FILE": path})
    assert complaint in caught.value.message
    assert path in caught.value.message
    assert "s3cret" not in caught.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load({"SETTINGS_FILE": str(tmp_path / "none")})


def test_origins_are_split() -> None:
    assert load({"CORS_ORIGINS": "http://a:1, https://b"}).cors_origins == ("http://a:1", "https://b")

"""Log lines: one object each, no forgery, no secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.logs import redact, redact_text, render
from service.services.authentication import compose, new_secret


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40), max_size=4))
def test_any_text_stays_on_its_line(event: dict[str, str]) -> None:
    line = render(logging, "info", dict(event))
    assert line.splitlines() == [line]
    assert all(char.isprintable() or ord(char) > 0x9F for char in line)
    assert json.loads(line) == {name: text for name, text in event.items() if name != "color_message"}


def test_what_has_no_json_form_is_told_all_the_same() -> None:
    event = redact(logging, "info", {"event": "x", "id": uuid.UUID(int=1), "big": 1 << 80, "nested": {"raw": b"\xff"}})
    assert json.loads(render(logging, "info", event))["id"] == "00000000-0000-0000-0000-000000000001"
    assert json.loads(render(logging, "info", {"event": "\ud800"}))["event"] == "\ud800"


KEY = compose(uuid.uuid4(), uuid.uuid4(), new_secret()).reveal()


@pytest.mark.parametrize(
    "text",
    [
        f"GET /x?key={KEY}",
        "could not connect to postgresql://jeex_app:hunter2secret@127.0.0.1/jeex",
        "redis://:hunter2secret@redis:6379",
        "Authorization: Bearer hunter2secret",
        "token s.hunter2secret0123456789abc",
        "token hvs.hunter2secret0123456789abc",
        "host=db password=hunter2secret user=jeex_app",
        "CREATE ROLE x LOGIN PASSWORD 'it''s hunter2secret' VALID UNTIL 'x'",
        "token eyJhbGciOiJFUzI1NiJ9.hunter2secret0123456789abc.hunter2secret",
        "duplicate key\nDETAIL:  Key (email)=(hunter2secret@x.example) already exists.\nmore",
    ],
)
def test_credentials_are_blanked_wherever_they_turn_up(text: str) -> None:
    assert "hunter2secret" not in redact_text(text)
    assert KEY[-43:] not in redact_text(text)
    nested = redact(logging, "info", {"event": text, "deep": [{"deeper": (text,)}]})
    assert "hunter2secret" not in str(nested)
    assert KEY[-43:] not in str(nested)


@pytest.mark.parametrize("name", ["password", "VAULT_SECRET_ID", "client_token", "Authorization", "set-cookie", "api_key"])
def test_fields_that_are_secret_by_name_are_blanked(name: str) -> None:
    assert redact(logging, "info", {name: "value", "a": {name: "value"}}) == {name: "***", "a": {name: "***"}}


@pytest.mark.parametrize("text", ["user@example.com", "http://127.0.0.1:5210/docs", "key_id 12", "jx_", "10:30:00"])
def test_harmless_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_libraries_speak_through_it_too() -> None:
    """In a process of its own: logging is global."""
    code = """
import logging, warnings, structlog
from service.core import logs
logs.configure("info", "api")
structlog.contextvars.bind_contextvars(request_id="r1")
logging.getLogger("uvicorn.error").info("started\\n%s", "postgresql://a:hunter2@b")
logging.getLogger("x").debug("silent")
structlog.get_logger().debug("silent")
warnings.warn("careful")
try:
    raise ValueError("token hvs.hunter2hunter2hunter2hunter2")
except ValueError:
    structlog.get_logger().exception("failed")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.stderr == ""
    assert [one["level"] for one in lines] == ["info", "warning", "error"]
    assert all(list(one)[:4] == ["timestamp", "level", "process", "event"] for one in lines)
    assert all(one["process"] == "api" and one["request_id"] == "r1" for one in lines)
    assert "ValueError" in lines[2]["exception"]
    assert "hunter2" not in result.stdout

"""What `jeex tenant key` understands and shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jeex_cli.commands.tenant_key import short_ids
from jeex_cli.errors import UsageError
from jeex_cli.ops import timespan
from jeex_cli.ops.keys import expiry, state

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("45s", timedelta(seconds=45)),
        ("10m", timedelta(minutes=10)),
        ("12h", timedelta(hours=12)),
        ("30d", 30 * DAY),
        (" 30 d ", 30 * DAY),
        ("0d", timedelta()),
        ("999999999d", 999_999_999 * DAY),
    ],
)
def test_spans_of_time(text: str, span: timedelta) -> None:
    assert timespan.parse(text) == span


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "+1d", "1.5h", "30D", "1w", "1d12h", "1d\n2", "٣d", "1234567890s"])
def test_what_is_no_span(text: str) -> None:
    assert timespan.parse(text) is None


def test_a_key_ends_after_its_span() -> None:
    assert expiry("30d", NOW) == datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
    assert expiry("12h", NOW) == datetime(2026, 11, 25, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "0s", "0d", "-1d", "9999999d", "999999999d"])
def test_a_key_that_could_not_hold_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        expiry(text, NOW)
    assert repr(text) in caught.value.message
    assert "--expires-in 30d" in caught.value.hint


@pytest.mark.parametrize(
    ("revoked", "user_deleted", "ends", "expected"),
    [
        (False, False, None, "active"),
        (False, False, NOW + DAY, "active"),
        (False, False, NOW, "expired"),
        (False, True, NOW - DAY, "user deleted"),
        (True, True, NOW - DAY, "revoked"),
    ],
)
def test_the_state_says_why_a_key_is_refused(
    revoked: bool, user_deleted: bool, ends: datetime | None, expected: str
) -> None:
    assert state(revoked=revoked, user_deleted=user_deleted, expires_at=ends, now=NOW) == expected


def test_ids_are_as_short_as_tells_them_apart() -> None:
    first, second = "01a20dec-2ff9-7572-9545-ac73354e4b39", "01a20dec-3200-76a5-968e-2c0f38e96512"
    assert short_ids([first, second]) == ["01a20dec-2ff9-7572", "01a20dec-3200-76a5"]
    near = "01a20dec-2ff9-7572-9546-ac73354e4b39"
    assert short_ids([first, near]) == ["01a20dec-2ff9-7572-9545", "01a20dec-2ff9-7572-9546"]
    nearest = "01a20dec-2ff9-7572-9545-ac73354e4b38"
    assert short_ids([first, nearest]) == [first, nearest]
    assert short_ids([]) == []

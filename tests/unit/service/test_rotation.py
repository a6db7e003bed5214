"""When a key of tokens has ended, and who of several rotates what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.adapters.secret_store import LocalSecrets
from service.adapters.vault_keys import KeyVersion
from service.core.errors import Conflict
from service.services.rotation import API_PEPPER, JWT, LOGINS, Rotation, ended
from service.services.secrets import DATABASE, PEPPER, new_pepper
from service.services.tokens import LEEWAY, LIFE

NOW = datetime.now(UTC)


class Keys:
    """The transit engine, as far as rotation needs it."""

    def __init__(self, *ages: float) -> None:
        self.made = [KeyVersion(number, "", NOW - timedelta(seconds=age)) for number, age in enumerate(ages, 1)]
        self.oldest = 1

    def versions(self, name: str) -> list[KeyVersion]:
        return [one for one in self.made if one.version >= self.oldest]

    def rotate(self, name: str) -> None:
        self.made.append(KeyVersion(len(self.made) + 1, "", datetime.now(UTC)))

    def retire(self, name: str, *, oldest: int) -> None:
        self.oldest = oldest


class Logins:
    """The database engine, as far as rotation needs it."""

    def __init__(self) -> None:
        self.passwords = 1

    def rotate_root(self) -> None:
        self.passwords += 1


def store_of(age: float) -> LocalSecrets:
    store = LocalSecrets(lambda: NOW - timedelta(seconds=age))
    store.put(PEPPER, new_pepper())
    store.put(DATABASE, {"turn": "1"})
    store._clock = lambda: datetime.now(UTC)
    return store


def rotation(store: LocalSecrets, keys: Keys, logins: Logins | None = None) -> Rotation:
    parts: Any = (store, keys, logins or Logins())
    return Rotation(*parts)


@pytest.mark.parametrize(
    ("ages", "over"),
    [
        ((10_000.0,), []),  # the only one
        ((10_000.0, 10.0), []),  # the next one does not even sign yet
        ((10_000.0, 60 + 120.0 + LIFE), []),  # its last token may hold on
        ((10_000.0, 60 + 120.0 + LIFE + LEEWAY + 61), [1]),
        ((10_000.0, 9_000.0, 8_000.0, 5.0), [1, 2]),
    ],
)
def test_a_key_has_ended_when_its_last_token_has(ages: tuple[float, ...], over: list[int]) -> None:
    assert ended(Keys(*ages).made, NOW, announced=120.0) == over


def test_each_kind_knows_its_age_and_when_it_is_due() -> None:
    most = {JWT: 50.0, API_PEPPER: None, LOGINS: 501.0}
    found = {one.kind: one for one in rotation(store_of(500), Keys(5_000, 100)).ages(most, NOW)}
    assert {kind: round(one.age) for kind, one in found.items()} == {JWT: 100, API_PEPPER: 500, LOGINS: 500}
    assert {kind: one.is_due for kind, one in found.items()} == {JWT: True, API_PEPPER: False, LOGINS: False}
    assert found[JWT].version == 2


def test_what_is_due_is_rotated_once_and_what_is_not_stays() -> None:
    store, keys, logins = store_of(1000), Keys(1000), Logins()
    one = rotation(store, keys, logins)
    most = {JWT: 999.0, API_PEPPER: None, LOGINS: 999.0}
    assert one.rotate_due(most) == [JWT, LOGINS]
    assert one.rotate_due(most) == []
    assert (len(keys.made), logins.passwords) == (2, 2)
    assert [store.metadata(path).current for path in (PEPPER, DATABASE)] == [1, 2]  # type: ignore[union-attr]


def test_of_two_who_see_the_same_one_rotates() -> None:
    store, keys = store_of(1000), Keys(1000)
    first, second = rotation(store, keys), rotation(store, keys)
    due = next(one for one in first.ages({JWT: 1.0}) if one.kind == JWT)
    assert first._claim(due)
    assert not second._claim(due)


def test_a_claim_of_one_who_was_killed_is_taken_over() -> None:
    store, keys = store_of(1000), Keys(1000)
    one = rotation(store, keys)
    store._clock = lambda: datetime.now(UTC) - timedelta(minutes=6)
    assert one._claim(next(due for due in one.ages({JWT: 1.0}) if due.kind == JWT))
    store._clock = lambda: datetime.now(UTC)
    assert one.rotate_due({JWT: 999.0}) == [JWT]


def test_a_pepper_that_another_has_just_rotated_is_not_overwritten() -> None:
    store = store_of(1000)
    one = rotation(store, Keys(1000))
    one._version = lambda path: 0  # type: ignore[method-assign] - what was seen a moment ago
    with pytest.raises(Conflict):
        one.rotate(API_PEPPER)
    assert one.rotate(JWT) == 2

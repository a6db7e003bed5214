"""Whose token a process remembers, and when it must not."""

from __future__ import annotations

import uuid

from service.services.authentication import Principal, Recent

WHO = Principal(uuid.uuid4(), "acme", uuid.uuid4(), "owner")


def test_knows_whom_it_was_told_of_until_all_are_forgotten() -> None:
    recent = Recent()
    assert not recent.knows(WHO)
    recent.add(WHO, forgotten=recent.forgotten)
    assert recent.knows(WHO)
    recent.forget()
    assert not recent.knows(WHO)


def test_what_was_looked_up_before_a_change_is_not_remembered_after_it() -> None:
    recent = Recent()
    began = recent.forgotten
    recent.forget()  # while the database was asked
    recent.add(WHO, forgotten=began)
    assert not recent.knows(WHO)


def test_knows_nobody_while_it_hears_nothing() -> None:
    recent = Recent()
    recent.add(WHO, forgotten=recent.forgotten)
    recent.hearing = False
    assert not recent.knows(WHO)
    recent.hearing = True
    assert recent.knows(WHO)

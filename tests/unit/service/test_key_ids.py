"""Ids of keys, given in part."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidInput
from service.services.keys import id_range

ID = uuid.UUID("01a20dec-2ff9-7572-9545-ac73354e4b39")


def test_a_whole_id_names_itself() -> None:
    for text in (str(ID), ID.hex, str(ID).upper(), f" {ID} "):
        assert id_range(text) == (ID, ID)


def test_the_first_digits_name_what_begins_with_them() -> None:
    expected = (uuid.UUID("01a20dec-2ff0-0000-0000-000000000000"), uuid.UUID("01a20dec-2fff-ffff-ffff-ffffffffffff"))
    for text in ("01a20dec-2ff", "01a20dec2ff", "01A20DEC-2FF"):
        assert id_range(text) == expected


@given(st.uuids(), st.uuids(), st.integers(8, 32))
def test_in_the_range_is_what_begins_so_and_nothing_else(one: uuid.UUID, other: uuid.UUID, length: int) -> None:
    first, last = id_range(one.hex[:length])
    assert first <= one <= last
    assert (first <= other <= last) is other.hex.startswith(one.hex[:length])


@pytest.mark.parametrize(
    "text", ["", "01a20de", "----------", "01a20deg", f"{ID}0", f"jx_{ID.hex}", "01a20dec%", "٠١٢٣٤٥٦٧"]
)
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        id_range(text)
    assert (caught.value.field, caught.value.code) == ("key_id", "KEY_ID_INVALID")

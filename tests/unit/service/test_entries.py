"""Keys and values of the cache: none without a tenant, none that is taken for another's."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.entries import Entry, Key, Value, decode, encode, version_name

keys = st.builds(
    Key,
    st.uuids(),
    st.sampled_from(("project", "document")),
    st.sampled_from(("row", "page")),
    st.binary(min_size=16, max_size=16),
    st.sampled_from(("", "a1", "b2")),
)
stamps = st.binary(min_size=16, max_size=16)
entries = st.one_of(
    st.builds(
        Entry, st.builds(Value, st.integers(0, 2**31 - 1), st.binary(max_size=200)), st.floats(0, 2e9), st.floats(0, 2e9)
    ),
    st.builds(Entry, st.none(), st.floats(0, 2e9), st.floats(0, 2e9), st.booleans()),
)


@given(keys)
def test_a_key_holds_its_tenant(key: Key) -> None:
    assert key.tenant_id.hex in key.name.split(":")
    assert key.tenant_id.hex in key.claim(b"0" * 16).split(":")
    assert key.tenant_id.hex in version_name(key.scope).split(":")


@given(keys, keys)
def test_two_keys_never_have_one_name(one: Key, other: Key) -> None:
    assert (one == other) == (one.name == other.name)
    assert one.name != version_name(other.scope)


@pytest.mark.parametrize("tenant", [None, "", "acme", "4dc350a4-8dd1-415d-9a75-87c08c64a832", 7, b"x" * 16])
def test_there_is_no_key_without_a_tenant(tenant: Any) -> None:
    with pytest.raises(TypeError):
        Key(tenant, "project", "row", b"x" * 16)
    with pytest.raises(TypeError):
        version_name((tenant, "project"))


@pytest.mark.parametrize("table", ["", "a:b", "a b", "version:x", "é"])
def test_a_key_names_a_table(table: str) -> None:
    with pytest.raises(ValueError, match="names a table"):
        Key(uuid.uuid4(), table, "row", b"x" * 16)


@given(keys, stamps, entries)
def test_what_is_stored_comes_back(key: Key, stamp: bytes, entry: Entry) -> None:
    found = decode(encode(key, stamp, entry), key, stamp)
    assert found is not None
    assert found.too_large == entry.too_large
    assert (found.ends, found.renew) == (entry.ends, entry.renew)
    assert found.value == (None if entry.too_large else entry.value)


@given(keys, keys, stamps, stamps, entries)
def test_another_key_or_stamp_is_a_miss(key: Key, other: Key, stamp: bytes, later: bytes, entry: Entry) -> None:
    raw = encode(key, stamp, entry)
    if other != key:
        assert decode(raw, other, stamp) is None
    if later != stamp:
        assert decode(raw, key, later) is None


@given(keys, stamps, entries, st.data())
def test_a_broken_value_is_a_miss(key: Key, stamp: bytes, entry: Entry, data: st.DataObject) -> None:
    raw = bytearray(encode(key, stamp, entry))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(raw), key, stamp) is None
    assert decode(bytes(raw[:place]), key, stamp) is None


@given(keys, stamps, st.binary(max_size=300))
def test_a_foreign_value_is_a_miss(key: Key, stamp: bytes, raw: bytes) -> None:
    assert decode(raw, key, stamp) is None

"""Files that were damaged, cut off, or made by somebody who means harm: refused with the reason, and no row written."""

from __future__ import annotations

import gzip
import io
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.errors import FileRefused, InvalidInput
from service.services.tenant_contents import Contents
from service.services.tenant_file import HEADER, MANIFEST
from tests.integration.service.servers import Postgres
from tests.integration.service.travel import SMALL, Place, changed, packed, unpacked, with_header

OTHER = "0190abcd-0000-7000-8000-000000000001"
Row = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """An export, and where it is imported: a database whose tenants it must not change."""

    place: Place
    file: bytes
    victim: uuid.UUID


@pytest.fixture(scope="module")
def sent(postgres: Postgres) -> Iterator[Sent]:
    place = Place(postgres, postgres.copy("hostile", "migrated"))
    tenant = place.full()
    victim = place.full("victim")
    yield Sent(place, place.export(tenant), victim)
    postgres.drop("hostile")


def refused(sent: Sent, file: bytes, **options: Any) -> str:
    """The code of the refusal; nothing may have been written."""
    before = sent.place.total()
    with pytest.raises((FileRefused, InvalidInput)) as caught:
        sent.place.load(file, **{"slug": "intruder", "new": True, **options})
    assert caught.value.message
    assert sent.place.total() == before
    return caught.value.code


def first(name: str, value: object) -> Callable[[list[Row]], None]:
    return lambda rows: rows[0].__setitem__(name, value)


def test_cut_off_anywhere(sent: Sent) -> None:
    size = len(sent.file)
    for end in (0, 1, 10, 100, size // 2, size - 100, size - 9, size - 8, size - 1):
        assert refused(sent, sent.file[:end]) in ("FILE_TRUNCATED", "FILE_FOREIGN"), end
    whole = gzip.decompress(sent.file)
    for end in (512, 1024, 4096, len(whole) // 2):  # cut off before it was packed
        assert refused(sent, gzip.compress(whole[:end])) == "FILE_TRUNCATED", end
    members = unpacked(sent.file)
    del members[MANIFEST]
    assert refused(sent, packed(members)) == "FILE_TRUNCATED"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_noticed(sent: Sent, data: st.DataObject) -> None:
    """Either what it unpacks to is the same (a byte of the head of gzip), or it is refused before PostgreSQL is asked."""
    place = data.draw(st.integers(0, len(sent.file) - 1))
    bit = data.draw(st.integers(0, 7))
    file = bytearray(sent.file)
    file[place] ^= 1 << bit
    try:
        Contents(io.BytesIO(bytes(file)), None, SMALL)
    except FileRefused:
        return
    assert gzip.decompress(bytes(file)) == gzip.decompress(sent.file)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000))
def test_no_noise_is_taken_for_an_export(sent: Sent, noise: bytes) -> None:
    for file in (noise, gzip.compress(noise), gzip.compress(gzip.decompress(sent.file)[:1536] + noise)):
        with pytest.raises(FileRefused):
            Contents(io.BytesIO(file), None, SMALL)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["tenant", "app_user", "project", "document", "job", "job_due", "job_result"]), st.data())
def test_any_value_anywhere_is_a_row_of_the_new_tenant_or_refused(sent: Sent, table: str, data: st.DataObject) -> None:
    rows = [orjson.loads(line) for line in unpacked(sent.file)[f"rows/{table}/000001.jsonl"].splitlines()]
    column = data.draw(st.sampled_from(sorted(rows[0])))
    value = data.draw(_VALUES)
    try:
        file = changed(sent.file, table, first(column, value))
    except (TypeError, UnicodeEncodeError):  # what JSON cannot say
        return
    before = sent.place.rows("document", sent.victim), sent.place.total()
    try:
        done = sent.place.load(file, slug="intruder", new=True)
    except (FileRefused, InvalidInput):
        assert sent.place.total() == before[1]
    else:
        sent.place.sql("DELETE FROM tenant WHERE id = :t", done.id)
        assert sent.place.total() == before[1]
    assert sent.place.rows("document", sent.victim) == before[0]


def test_members_that_were_changed(sent: Sent) -> None:
    members = unpacked(sent.file)
    name = "rows/document/000001.jsonl"
    for change in (
        {name: members[name].replace(b"title 1", b"title X")},
        {name: members[name][: members[name].index(b"\n") + 1]},
        {"rows/document/000002.jsonl": members[name]},
    ):
        ordered = {one: content for one, content in {**members, **change}.items() if one != MANIFEST}
        assert refused(sent, packed({**ordered, MANIFEST: members[MANIFEST]}, honest=False)) == "FILE_TAMPERED"
    assert refused(sent, packed({k: v for k, v in members.items() if k != name}, honest=False)) == "FILE_TAMPERED"


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "rows/../x.jsonl", "rows/document/1.jsonl", "x" * 99])
def test_paths_lead_nowhere(sent: Sent, name: str) -> None:
    members = unpacked(sent.file)
    last = members.pop(MANIFEST)
    assert refused(sent, packed({**members, name: b"x\n", MANIFEST: last})) == "FILE_HOSTILE"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"x", b"L"]
)
def test_no_links_devices_or_further_heads(sent: Sent, kind: bytes) -> None:
    def add(archive: tarfile.TarFile) -> None:
        about = tarfile.TarInfo("rows/document/000009.jsonl")
        about.type, about.linkname = kind, "/etc/passwd"
        archive.addfile(about)

    assert refused(sent, packed(unpacked(sent.file), more=add)) == "FILE_HOSTILE"


def test_what_follows_the_end_or_stands_elsewhere(sent: Sent) -> None:
    whole = gzip.decompress(sent.file)
    assert refused(sent, gzip.compress(whole + b"x" * 512)) == "FILE_HOSTILE"
    assert refused(sent, sent.file + gzip.compress(whole)) in ("FILE_HOSTILE", "FILE_TOO_LARGE")
    members = unpacked(sent.file)
    backwards = dict(reversed([one for one in members.items() if one[0] not in (HEADER, MANIFEST)]))
    assert refused(sent, packed({HEADER: members[HEADER], **backwards, MANIFEST: b""})) in ("FILE_HOSTILE", "FILE_REFERENCE")
    assert refused(sent, packed({MANIFEST: b"", **members})) == "FILE_HOSTILE"


def test_bombs_are_never_unpacked(sent: Sent) -> None:
    members = unpacked(sent.file)
    name = "rows/document/000001.jsonl"
    # One that is as large as it says, in one member and in many; one that says more than it has; too many rows.
    assert refused(sent, packed({**members, name: b" " * (SMALL.member + 1)})) == "FILE_TOO_LARGE"
    last = members.pop(MANIFEST)
    many = {f"rows/document/{number:06}.jsonl": b" " * 1024 * 1000 + b"\n" for number in range(2, 12)}
    assert refused(sent, packed({**members, **many, MANIFEST: last})) == "FILE_TOO_LARGE"
    tight = replace(SMALL, total=2**40, ratio=20, free=0)
    assert refused(sent, packed({**members, **many, MANIFEST: last}), limits=tight) == "FILE_TOO_LARGE"
    assert refused(sent, packed({**members, MANIFEST: last}), limits=replace(SMALL, rows=30)) == "FILE_TOO_LARGE"
    whole = bytearray(gzip.decompress(sent.file))
    about = tarfile.TarInfo(HEADER)
    about.size = 2**40
    whole[:512] = about.tobuf(tarfile.GNU_FORMAT)[:512]
    assert refused(sent, gzip.compress(bytes(whole))) == "FILE_TOO_LARGE"


def test_rows_of_another_tenant(sent: Sent) -> None:
    for whose in (OTHER, str(sent.victim), None, 7, ["x"]):
        assert refused(sent, changed(sent.file, "document", first("tenant_id", whose))) == "FILE_OTHER_TENANT"
    assert refused(sent, changed(sent.file, "tenant", first("id", str(sent.victim)))) == "FILE_OTHER_TENANT"
    assert refused(sent, changed(sent.file, "tenant", lambda rows: rows.append({**rows[0]}))) == "FILE_HOSTILE"

    def whose(head: Row) -> None:
        head["tenant"]["id"] = str(sent.victim)

    # The whole file says that it is the victim's: its rows do not, and with ids kept the victim is there already.
    assert refused(sent, with_header(sent.file, whose)) == "FILE_OTHER_TENANT"


def test_references_out_of_the_file(sent: Sent) -> None:
    theirs = sent.place.sql("SELECT id FROM project LIMIT 1", sent.victim)
    user = sent.place.sql("SELECT id FROM app_user LIMIT 1", sent.victim)
    for new in (True, False):
        place = sent if new else Sent(sent.place, _moved(sent), sent.victim)
        assert refused(place, changed(place.file, "document", first("project_id", theirs)), new=new) == "FILE_REFERENCE"
        assert refused(place, changed(place.file, "document", first("created_by", user)), new=new) == "FILE_REFERENCE"
        assert refused(place, changed(place.file, "job_due", first("job_id", OTHER)), new=new) == "FILE_REFERENCE"


def _moved(sent: Sent) -> bytes:
    """The same file of a tenant that is not here, so that its ids can be kept."""
    old = orjson.loads(unpacked(sent.file)[HEADER])["tenant"]["id"].encode()
    return packed({name: content.replace(old, OTHER.encode()) for name, content in unpacked(sent.file).items()})


def test_unknown_tables_and_columns(sent: Sent) -> None:
    def table(head: Row) -> None:
        head["tables"]["pg_authid"] = ["rolname"]

    def column(head: Row) -> None:
        head["tables"]["document"].append("id; DROP TABLE document; --")

    def fewer(head: Row) -> None:
        head["tables"]["document"].remove("path")

    def twice(head: Row) -> None:
        head["tables"]["document"].append("path")

    assert refused(sent, with_header(sent.file, table)) == "FILE_TABLE"
    for change in (column, fewer, twice):
        assert refused(sent, with_header(sent.file, change)) == "FILE_COLUMNS"
    assert refused(sent, changed(sent.file, "document", first("more", 1))) == "FILE_COLUMNS"
    assert refused(sent, changed(sent.file, "document", lambda rows: rows[0].pop("title"))) == "FILE_COLUMNS"
    members = unpacked(sent.file)
    last = members.pop(MANIFEST)
    assert refused(sent, packed({**members, "rows/pg_authid/000001.jsonl": b"{}\n", MANIFEST: last})) == "FILE_TABLE"


@pytest.mark.parametrize("line", [b"{", b"[]", b"nope", b"", b'"x"', b'{"a":', b"\xff", b"[" * 5000, b'{"a":1e999999}'])
def test_lines_that_are_no_rows(sent: Sent, line: bytes) -> None:
    members = unpacked(sent.file)
    members["rows/project/000001.jsonl"] = line + b"\n"
    assert refused(sent, packed(members)) in ("FILE_VALUE", "FILE_COLUMNS")


@pytest.mark.parametrize(
    ("table", "column", "value", "code"),
    [
        ("document", "content", "x" * (1024 * 1024 - 5000) + "é" * 4000, "FILE_VALUE"),
        ("document", "content", "a\0b", "FILE_VALUE"),
        ("document", "metadata", "{" * 1000, "FILE_VALUE"),
        ("document", "metadata", '{"a": "\\u0000"}', "FILE_VALUE"),
        ("document", "version", 2**40, "FILE_VALUE"),
        ("document", "created_at", "yesterday at no time", "FILE_VALUE"),
        ("document", "id", "none", "FILE_VALUE"),
        ("document", "title", None, "FILE_VALUE"),
        ("app_user", "role", "god", "FILE_VALUE"),
        ("app_user", "password_hash", "plain", "FILE_VALUE"),
        ("job", "kind", "no such thing; rm", "FILE_VALUE"),
        ("job_result", "bytes", "\\x0", "FILE_VALUE"),
        ("tenant", "status", "admin", "FILE_VALUE"),
    ],
)
def test_values_that_break_a_rule(sent: Sent, table: str, column: str, value: object, code: str) -> None:
    limits = replace(SMALL, member=4 * 1024 * 1024)
    assert refused(sent, changed(sent.file, table, first(column, value)), limits=limits) == code


def test_rows_in_each_others_way(sent: Sent) -> None:
    assert refused(sent, changed(sent.file, "document", lambda rows: rows.append({**rows[0]}))) == "FILE_DUPLICATE"


def test_heads_that_are_none(sent: Sent) -> None:
    changes: list[tuple[Callable[[Row], None], str]] = [
        (lambda head: head.update(format="tar"), "FILE_FOREIGN"),
        (lambda head: head.update(version=2), "FILE_NEWER"),
        (lambda head: head.update(version="1"), "FILE_FOREIGN"),
        (lambda head: head.update(revision=["0001"]), "FILE_HOSTILE"),
        (lambda head: head.update(tables=[]), "FILE_HOSTILE"),
        (lambda head: head.update(tables={}), "FILE_HOSTILE"),
        (lambda head: head.update(tenant={"id": 1}), "FILE_HOSTILE"),
        (lambda head: head.update(tenant={"id": OTHER.upper()}), "FILE_HOSTILE"),
    ]
    for change, code in changes:
        assert refused(sent, with_header(sent.file, change)) == code
    assert refused(sent, sent.file, slug="No Slug") == "INVALID"

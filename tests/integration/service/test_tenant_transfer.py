"""A tenant travels: everything of it, into the same database or another one."""

from __future__ import annotations

import io

import orjson
import pytest
from sqlalchemy import Table

from service.adapters.database import Database
from service.adapters.tenant_tables import TABLES
from service.core.errors import Conflict, FileRefused
from service.core.settings import Secret
from service.models import Base
from service.services import tenant_transfer
from tests.integration.service.conftest import run
from tests.integration.service.servers import Postgres
from tests.integration.service.travel import ELSEWHERE, HERE, Place, packed, unpacked, with_header


@pytest.fixture
def here(postgres: Postgres, database: str) -> Place:
    return Place(postgres, database)


@pytest.fixture
def there(postgres: Postgres, empty_database: str) -> Place:
    postgres.drop(empty_database)
    return Place(postgres, postgres.copy(empty_database, "migrated"), ELSEWHERE)


def test_every_table_and_column_of_a_tenant_travels(here: Place) -> None:
    """Against the catalogue, not the models that the list is made of: who adds a table need not think of exports."""
    found = here.postgres.sql(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.attgenerated = '' AND (c.relname = 'tenant' OR EXISTS (SELECT FROM pg_attribute o "
        "WHERE o.attrelid = c.oid AND o.attname = 'tenant_id'))",
        database=here.name,
    )
    assert sorted(found.splitlines()) == sorted(f"{name}|{one}" for name, table in TABLES.items() for one in table.columns)


def test_what_refers_to_a_table_comes_behind_it() -> None:
    order = list(TABLES)
    assert order[0] == "tenant"
    for name in order:
        table: Table = Base.metadata.tables[name]
        for one in table.foreign_keys:
            assert order.index(one.column.table.name) < order.index(name), (name, one)


def test_a_tenant_arrives_elsewhere_as_it_was(here: Place, there: Place) -> None:
    tenant = here.full()
    assert all(here.rows(table, tenant) for table in TABLES)  # else this would prove nothing of the empty one
    file = here.export(tenant)
    done = there.load(file)
    assert (done.id, done.slug, done.passwords, done.left_out) == (tenant, "acme", 1, {})
    for table in TABLES:
        before, after = here.rows(table, tenant), there.rows(table, tenant)
        for row in before:  # what cannot hold elsewhere
            if (row.get("password_hash") or "").endswith("#3"):
                row["password_hash"] = None
            if table == "job" and row["status"] == "running":
                row |= {"status": "queued", "lease_token": None, "lease_until": None}
        if table == "job_due":
            assert [row["stage"] for row in after] == ["waiting"] * len(before)
            for row in (*before, *after):
                row |= {"stage": "", "run_at": ""}
        assert sorted(map(str, before)) == sorted(map(str, after)), table
    with pytest.raises(Conflict, match="here already") as caught:
        there.load(file, slug="another")
    assert caught.value.code == "TENANT_THERE"


def test_peppered_passwords_hold_where_the_pepper_is_the_same(here: Place) -> None:
    tenant = here.full()
    file = here.export(tenant)
    here.sql("DELETE FROM tenant WHERE id = :t", tenant)
    assert here.load(file).passwords == 0
    assert here.sql("SELECT count(*) FROM app_user WHERE password_hash LIKE '%#3'", tenant) == "1"


def test_a_clone_has_ids_of_its_own_and_the_same_order(here: Place) -> None:
    tenant = here.full()
    before = {table: here.rows(table, tenant) for table in TABLES}
    done = here.clone(tenant, "copy")
    assert done.id != tenant and done.left_out == {"api_key": 1, "idempotent_request": 1}
    assert {table: here.rows(table, tenant) for table in TABLES} == before
    old = here.sql("SELECT string_agg(title, ',' ORDER BY id) FROM document WHERE tenant_id = :t", tenant)
    assert here.sql("SELECT string_agg(title, ',' ORDER BY id) FROM document WHERE tenant_id = :t", done.id) == old
    # What a job is about is named by its new id.
    assert (
        here.sql(
            "SELECT count(*) FROM job JOIN project p ON args->>'project_id' = p.id::text WHERE kind = 'project.export'",
            done.id,
        )
        == "1"
    )
    assert not {row["id"] for row in before["document"]} & {row["id"] for row in here.rows("document", done.id)}


def test_what_is_in_the_way_is_explained(here: Place) -> None:
    tenant = here.full()
    file = here.export(tenant)
    rows = here.total()
    with pytest.raises(Conflict) as caught:
        here.load(file)
    assert caught.value.code == "TENANT_THERE" and "--new-ids" in caught.value.hint
    with pytest.raises(Conflict) as caught:
        here.load(file, new=True)
    assert caught.value.code == "SLUG_TAKEN" and "--as" in caught.value.hint
    with pytest.raises(FileRefused) as refused:
        here.load(with_header(file, lambda head: head.update(revision="9999_later")), slug="other", new=True)
    assert refused.value.code == "SCHEMA_NEWER"
    assert here.total() == rows
    assert here.load(file, slug="other", new=True).slug == "other"


def test_a_file_of_an_older_schema_lacks_columns_and_is_taken(here: Place) -> None:
    tenant = here.full()
    members = unpacked(here.export(tenant))
    head = orjson.loads(members["tenant.json"])
    head["revision"] = HERE.revisions[0]
    head["tables"]["document"].remove("version")
    members["tenant.json"] = orjson.dumps(head)
    name = "rows/document/000001.jsonl"
    rows = [orjson.loads(line) for line in members[name].splitlines()]
    members[name] = b"".join(orjson.dumps({k: v for k, v in row.items() if k != "version"}) + b"\n" for row in rows)
    done = here.load(packed(members), slug="older", new=True)
    assert here.sql("SELECT min(version), count(*) FROM document WHERE tenant_id = :t", done.id) == "1|40"


def test_an_export_is_of_one_moment(here: Place) -> None:
    """A document and its project, made between two tables being read, are both there or neither."""
    tenant = here.full()
    target = io.BytesIO()

    async def work() -> None:
        async with Database(Secret(here.url)) as database, database.direct(tenant) as driver:

            def between(table: str, _rows: int) -> None:
                if table == "tenant":
                    here.sql("UPDATE project SET slug = 'renamed'; DELETE FROM document", tenant)

            await tenant_transfer.export(driver, tenant, target, HERE, between)

    run(work())
    assert here.sql("SELECT count(*) FROM document", tenant) == "0"
    done = here.load(target.getvalue(), slug="then", new=True)
    assert (done.rows["document"], here.sql("SELECT slug FROM project", done.id)) == (40, "docs")


def test_a_passphrase_keeps_it_to_who_knows_it(here: Place) -> None:
    tenant = here.full()
    file = here.export(tenant, "a long enough passphrase")
    assert b"acme" not in file and file.startswith(b"JEEXSEAL1")
    for wrong in ("a long enough passphrasE", "another"):
        with pytest.raises(FileRefused) as caught:
            here.load(file, wrong, slug="other", new=True)
        assert caught.value.code == "FILE_SEAL"
    assert here.load(file, "a long enough passphrase", slug="other", new=True).rows["document"] == 40
    for cut in (file[:20], file[:-1], file[:-100], file + b"x"):
        with pytest.raises(FileRefused):
            here.load(cut, "a long enough passphrase", slug="more", new=True)


def test_nothing_of_another_tenant_is_in_it(here: Place) -> None:
    tenant, other = here.full(), here.full("other")
    assert str(other).encode() not in b"".join(unpacked(here.export(tenant)).values())

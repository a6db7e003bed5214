"""Tenants that travel between databases, as jeex sends them: shared by the tests of exports, imports and hostile files."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from migrations import revisions
from service.adapters.database import Database
from service.adapters.tenant_tables import TABLES
from service.core.settings import Secret
from service.services import tenant_contents, tenant_transfer
from service.services.tenant_contents import Contents
from service.services.tenant_file import HEADER, MANIFEST, Limits, Manifest, described
from service.services.tenant_transfer import Imported, Stack
from tests.integration.service.conftest import make_tenant, run
from tests.integration.service.servers import Postgres

HERE = Stack("1", "stack-one", [one.id for one in revisions.history()])
ELSEWHERE = replace(HERE, instance="stack-two")
SMALL = Limits(member=1024 * 1024, total=8 * 1024 * 1024, ratio=None, rows=10_000)
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo"

# A row in every table, and values that are easily lost: numbers that no float holds, every kind of character, times to
# the microsecond, a job that is with a worker.
EVERYTHING = f"""
INSERT INTO app_user (tenant_id, email, display_name, password_hash) VALUES
 (:t, 'plain@x.example', 'Plain', '{HASH}'), (:t, 'peppered@x.example', 'Peppered', '{HASH}#3');
INSERT INTO app_user (tenant_id, email, display_name, deleted_at) VALUES (:t, 'gone@x.example', 'Gone', now());
INSERT INTO project (tenant_id, slug, name, metadata, created_by)
 SELECT :t, 'docs', E'na\\\\me "\\u2028" \\\\n', '{{"n": 123456789012345678901234567890.10, "t": "a\\\\\\\\b\\\\n"}}', id
   FROM app_user WHERE tenant_id = :t LIMIT 1;
INSERT INTO document (tenant_id, project_id, path, title, content, created_at)
 SELECT :t, id, 'a/' || n, 'title ' || n, repeat(E'\\t\\b\\f line \\r\\n \\\\ " ' || chr(128512), n),
   '2020-01-01 00:00:00.123457+00'
   FROM project, generate_series(1, 40) AS n WHERE tenant_id = :t;
INSERT INTO job (tenant_id, kind, args) SELECT :t, 'project.export', json_build_object('project_id', id)
   FROM project WHERE tenant_id = :t;
INSERT INTO job (tenant_id, kind, status, lease_token, lease_until, attempts)
 VALUES (:t, 'purge', 'running', gen_random_uuid(), now(), 1);
INSERT INTO job_due (tenant_id, job_id, stage)
 SELECT tenant_id, id, CASE status WHEN 'running' THEN 'running' ELSE 'waiting' END FROM job WHERE tenant_id = :t;
INSERT INTO job (tenant_id, kind, status, finished_at, result) VALUES (:t, 'purge', 'done', now(), '{{"bytes": 3}}');
INSERT INTO job_result (tenant_id, job_id, part, bytes)
 SELECT tenant_id, id, 0, '\\x00ff5c'::bytea FROM job WHERE tenant_id = :t AND status = 'done';
INSERT INTO idempotent_request (tenant_id, user_id, key, fingerprint, response)
 SELECT tenant_id, id, 'k', sha256('x'), '\\x00'::bytea FROM app_user WHERE tenant_id = :t LIMIT 1;
"""  # noqa: S608


@dataclass
class Place:
    """A database as jeex_admin, and the stack it is of."""

    postgres: Postgres
    name: str
    stack: Stack = HERE

    @property
    def url(self) -> str:
        return self.postgres.url("admin", self.name)

    def sql(self, statement: str, tenant: uuid.UUID | None = None) -> str:
        bound = f"SET app.tenant_id = '{tenant}'; " if tenant else ""
        statement = bound + re.sub(r"(?<!:):t\b", f"'{tenant}'", statement)
        found = self.postgres.sql(statement, user="jeex_admin", database=self.name)
        return "\n".join(line for line in found.split("\n") if line != "SET")

    def full(self, slug: str = "acme") -> uuid.UUID:
        """A tenant that has something everywhere."""
        tenant = make_tenant(self.url, slug).tenant.id
        self.sql(EVERYTHING, tenant)
        return tenant

    def export(self, tenant: uuid.UUID, passphrase: str | None = None) -> bytes:
        target = io.BytesIO()

        async def work() -> None:
            async with Database(Secret(self.url)) as database, database.direct(tenant) as driver:
                with tenant_contents.sealed(target, Secret(passphrase) if passphrase else None) as file:
                    await tenant_transfer.export(driver, tenant, file, self.stack, silent)

        run(work())
        return target.getvalue()

    def load(
        self,
        file: bytes,
        passphrase: str | None = None,
        limits: Limits = SMALL,
        *,
        slug: str | None = None,
        new: bool = False,
    ) -> Imported:
        async def work() -> Imported:
            contents = Contents(io.BytesIO(file), Secret(passphrase) if passphrase else None, limits)
            async with Database(Secret(self.url)) as database, database.direct() as driver:
                return await tenant_transfer.load(driver, contents, self.stack, silent, slug=slug, new_ids=new)

        found: Imported = run(work())
        return found

    def clone(self, tenant: uuid.UUID, slug: str) -> Imported:
        async def work() -> Imported:
            async with Database(Secret(self.url)) as database, database.direct(tenant) as driver:
                return await tenant_transfer.clone(
                    driver, tenant, slug=slug, spool=io.BytesIO(), stack=self.stack, progress=silent
                )

        found: Imported = run(work())
        return found

    def rows(self, table: str, tenant: uuid.UUID) -> list[dict[str, Any]]:
        """All that a table has of a tenant, as PostgreSQL writes it: numbers and spaces as they are."""
        known = TABLES[table]
        columns = ", ".join(f"'{one}', {one}::text" for one in known.columns)
        query = f"SELECT json_build_object({columns}) FROM {table} WHERE {known.owner} = :t"  # noqa: S608
        found = [orjson.loads(line) for line in self.sql(query, tenant).split("\n") if line]
        return sorted(found, key=lambda row: str(sorted(row.items(), key=str)))

    def total(self) -> int:
        """Every row of every tenant's, by who may see all of them."""
        tables = " + ".join(f"(SELECT count(*) FROM {one})" for one in TABLES)  # noqa: S608
        return int(self.postgres.sql(f"SELECT {tables}", database=self.name))


def silent(_table: str, _rows: int) -> None:
    """Progress that nobody looks at."""


def unpacked(file: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(file))) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def packed(
    members: dict[str, bytes], *, honest: bool = True, more: Callable[[tarfile.TarFile], None] | None = None
) -> bytes:
    """A file with those members; `honest` makes the manifest fit them, as somebody would who wants it to be believed."""
    members = dict(members)
    if honest and MANIFEST in members:
        found = Manifest({name: described(name, content) for name, content in members.items() if name != MANIFEST})
        said = {name: {"bytes": one.bytes, "sha256": one.sha256, "rows": one.rows} for name, one in found.members.items()}
        members[MANIFEST] = orjson.dumps({"members": said, "rows": found.rows})
    target = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in members.items():
            if more is not None and name == MANIFEST:
                more(archive)
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return target.getvalue()


def changed(file: bytes, table: str, change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    """The file with other rows of a table, and a manifest that says so."""
    members = unpacked(file)
    name = f"rows/{table}/000001.jsonl"
    rows = [orjson.loads(line) for line in members[name].splitlines()]
    change(rows)
    members[name] = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    return packed(members)


def with_header(file: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with another tenant.json, and a manifest that fits."""
    members = unpacked(file)
    head = orjson.loads(members[HEADER])
    change(head)
    members[HEADER] = orjson.dumps(head)
    return packed(members)

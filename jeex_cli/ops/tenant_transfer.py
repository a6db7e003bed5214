"""Tenants into a file, out of one, and copied."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jeex_cli import __version__
from jeex_cli.errors import JeexError, NotReady, UsageError
from jeex_cli.ops import administration
from jeex_cli.ops.failures import translated
from jeex_cli.project import not_writable, private_folder
from jeex_cli.session import Session

if TYPE_CHECKING:
    from service.adapters.database import Database
    from service.services.tenant_transfer import Stack

_EVERY = 10_000  # rows between two words of progress


def export(session: Session, slug: str, path: Path, passphrase: str | None) -> dict[str, Any]:
    """Write the tenant to `path`, which nobody else may read. There is all of it, or no file. Raises JeexError."""
    from service.core.settings import Secret
    from service.services import tenant_contents, tenant_life, tenant_transfer

    if path.exists():
        raise UsageError(f"{path} is there already", code="FILE_EXISTS", hint="choose another name, or remove it first")
    secret = None if passphrase is None else Secret(passphrase)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")

    async def work(found: Database) -> dict[str, Any]:
        stack = await _stack(session, found)
        async with found.direct() as driver:
            tenant = await tenant_life.find(driver, slug)
        with tenant_contents.sealed(file, secret) as target:
            async with found.direct(tenant.id) as driver:
                rows = await tenant_transfer.export(driver, tenant.id, target, stack, _progress(session))
        return {"tenant": asdict(tenant), "rows": rows}

    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            done = administration.work(session, work)
            file.flush()
            os.fsync(descriptor)
            size = file.tell()
        new.replace(path)
    except OSError as error:
        raise not_writable(path, error) from error
    finally:
        new.unlink(missing_ok=True)
    return {**done, "file": str(path), "bytes": size, "encrypted": secret is not None}


def is_sealed(path: Path) -> bool:
    """Whether a passphrase is needed to read that file. Raises UsageError where it cannot be read."""
    from service.services import tenant_contents

    with _opened(path) as file:
        return tenant_contents.is_sealed(file)


def load(
    session: Session, path: Path, *, passphrase: str | None, slug: str | None, new_ids: bool, max_size: float | None
) -> dict[str, Any]:
    """Make a tenant of what stands in `path`, in one transaction. Raises UsageError, JeexError; then nothing was written.

    `max_size` is how many GiB the file may unpack to, for who trusts it.
    """
    from service.core.settings import Secret
    from service.services import tenant_contents, tenant_transfer
    from service.services.tenant_file import Limits

    limits = Limits() if max_size is None else Limits(total=int(max_size * 1024**3), ratio=None)
    secret = None if passphrase is None else Secret(passphrase)
    with _opened(path) as file:
        with translated():
            contents = tenant_contents.Contents(file, secret, limits)

        async def work(found: Database) -> dict[str, Any]:
            stack = await _stack(session, found)
            async with found.direct() as driver:
                done = await tenant_transfer.load(driver, contents, stack, _progress(session), slug=slug, new_ids=new_ids)
            return asdict(done)

        name = shlex.quote(str(path))
        hints = {"SLUG_TAKEN": f"jeex tenant import {name} --as OTHER_SLUG"}
        return administration.work(session, work, hints)


def clone(session: Session, slug: str, new_slug: str) -> dict[str, Any]:
    """A second tenant like the first, with ids of its own. Raises UsageError, JeexError."""
    from service.services import tenant_life, tenant_transfer

    async def work(found: Database) -> dict[str, Any]:
        stack = await _stack(session, found)
        async with found.direct() as driver:
            tenant = await tenant_life.find(driver, slug)
            if tenant.deleted_at is not None:
                raise JeexError(f"{slug} is deleted", code="TENANT_DELETED", hint=f"jeex tenant restore {shlex.quote(slug)}")
        with tempfile.TemporaryFile(dir=private_folder(session.project.folder)) as spool:
            async with found.direct(tenant.id) as driver:
                done = await tenant_transfer.clone(
                    driver, tenant.id, slug=new_slug, spool=spool, stack=stack, progress=_progress(session)
                )
        return asdict(done)

    return administration.work(session, work)


async def _stack(session: Session, found: Database) -> Stack:
    """This stack, as files know it. Raises NotReady where its schema is not of this version of jeex."""
    from migrations import revisions
    from service.services.tenant_transfer import Stack

    known = [one.id for one in revisions.history()]
    there = (await found.schema()).revision
    if there != known[-1]:
        raise NotReady(
            f"the database is at revision {there or 'none'}, this jeex is at {known[-1]}",
            code="SCHEMA_OTHER",
            hint="jeex db migrate",
        )
    return Stack(__version__, session.settings.given("JEEX_INSTANCE") or "", known)


def _progress(session: Session) -> Callable[[str, int], None]:
    told = 0

    def progress(table: str, rows: int) -> None:
        nonlocal told
        if rows - told >= _EVERY:
            told = rows
            session.output.note(f"{rows} rows, at {table}")

    return progress


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", code="FILE_UNREADABLE", hint="ls -l FILE") from error

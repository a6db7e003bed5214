"""A project as a zip of Markdown files, each with what is known of its document in front."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import uuid
import zipfile
from datetime import datetime
from typing import IO, Any

import asyncpg

from service.adapters import exports, jobs
from service.core.errors import InvalidInput, NotFound
from service.models.job import PART
from service.services.job_kinds import Finish, Job

MEDIA_TYPE = "application/zip"
_PAGE = 16  # documents at a time: each may have a megabyte
# JSON is YAML but for these, which YAML does not take as they are.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SAFE = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
_INDEX = "_project.md"  # no document's path begins so


async def run(job: Job, limit: int) -> Finish:
    """The export of the project that the job names. Raises NotFound, InvalidInput for one of more than `limit` bytes."""
    project_id = uuid.UUID(str(job.args["project_id"]))
    with tempfile.TemporaryFile() as file:
        async with job.database.direct(job.tenant_id) as driver:
            await exports.hold_still(driver)
            project = await exports.project(driver, job.tenant_id, project_id)
            if project is None:
                raise NotFound("the project is not there any more", code="PROJECT_UNKNOWN")
            number = await _write(job, driver, project, file, limit)
        size = file.seek(0, 2)
        parts = await asyncio.to_thread(_parts, file)

    async def store(driver: asyncpg.Connection) -> None:
        for place, part in enumerate(parts):
            await jobs.add_part(driver, job.tenant_id, job.id, place, part)

    named = "1 document" if number == 1 else f"{number} documents"
    return Finish(named, {"name": f"{project['slug']}.zip", "type": MEDIA_TYPE, "bytes": size}, store)


async def _write(job: Job, driver: asyncpg.Connection, project: dict[str, Any], file: IO[bytes], limit: int) -> int:
    names, number, read = Names(), 0, 0
    total = await exports.count(driver, job.tenant_id, project["id"])
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        about = {name: project[name] for name in ("slug", "name", "status", "metadata", "created_at", "updated_at")}
        _add(archive, _INDEX, about, project["description"], project["updated_at"])
        async for documents in exports.documents(driver, job.tenant_id, project["id"], _PAGE):
            for one in documents:
                about = {name: value for name, value in one.items() if name != "content"}
                read += len(one["content"])
                name = names.take(one["path"], one["id"])
                await asyncio.to_thread(_add, archive, name, about, one["content"], one["updated_at"])
                if read > limit or file.tell() > limit:
                    raise InvalidInput(
                        f"the project has more than the {limit} bytes that an export may have",
                        field="project_id",
                        code="EXPORT_TOO_LARGE",
                    )
            number += len(documents)
            job.progress(95 * number / max(1, total), f"{number} of {total} documents")
    return number


def _add(archive: zipfile.ZipFile, name: str, about: dict[str, Any], text: str, changed: datetime) -> None:
    entry = zipfile.ZipInfo(name, changed.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, f"{front_matter(about)}\n{text}")


def _parts(file: IO[bytes]) -> list[bytes]:
    file.seek(0)
    return list(iter(lambda: file.read(PART), b""))


def front_matter(about: dict[str, Any]) -> str:
    """What is known of a document, between lines of dashes: YAML whose values are written as JSON."""
    lines = [f"{name}: {_value(value)}" for name, value in about.items()]
    return "\n".join(["---", *lines, "---", ""])


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Names:
    """Names of files within an archive: each once, none above its folder, none a folder and a file at once."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def take(self, path: str, document_id: uuid.UUID) -> str:
        """The name for a document at `path`. One that cannot have it is found under `_other` by its id."""
        name = path if path.endswith(".md") else f"{path}.md"
        parts = name.split("/")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if not _SAFE.fullmatch(path) or name in self._files | self._folders or above & self._files:
            return f"_other/{document_id}.md"
        self._files.add(name)
        self._folders |= above
        return name

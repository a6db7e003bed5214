"""`python -m service migrate`: bring the database to the newest revision, then end."""

from __future__ import annotations

import time
from collections.abc import Mapping

import structlog

from migrations import runner
from service.core import logs, settings
from service.core.errors import DatabaseUnavailable, ServiceError

START_PATIENCE = 15.0  # seconds that PostgreSQL may take to start


def run(environ: Mapping[str, str]) -> int:
    """0 when the database is at head, 1 when it could not be brought there. Raises SettingsError."""
    found = settings.load(environ, required=("DATABASE_OWNER_URL",))
    logs.configure(found.log_level, "migrate")
    log = structlog.get_logger()
    owner_url = found.database_owner_url.reveal()
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            result = runner.upgrade(
                owner_url, on_revision=lambda one: log.info("migration.applied", revision=one.id, message=one.message)
            )
        except DatabaseUnavailable as error:
            if error.code == "DATABASE_REFUSED" or time.monotonic() > deadline:
                log.error("migration.failed", code=error.code, reason=error.message)
                return 1
            time.sleep(0.2)
        except ServiceError as error:
            log.error("migration.failed", code=error.code, reason=error.message, hint=error.hint)
            return 1
        else:
            log.info("migration.done", before=result.before, after=result.after, applied=len(result.applied))
            return 0

"""What PostgreSQL, the driver and the pool raise, in our words: translated here and only here."""

from __future__ import annotations

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.core.errors import DatabaseUnavailable

# SQLSTATE classes and codes that speak of the connection or the server, not of the statement.
_UNAVAILABLE = ("08", "57P01", "57P02", "57P03", "57P05", "53300", "28", "3D000")
# The same for what goes well when it is tried again: codes and sentences.
_TRY_AGAIN = {
    "57014": ("DATABASE_TIMEOUT", "PostgreSQL took too long for a statement"),
    "55P03": ("DATABASE_BUSY", "another request holds what this one needs"),
    "40P01": ("DATABASE_BUSY", "this request and another held what each other needed"),
    "25P03": ("DATABASE_TIMEOUT", "the transaction was left open for too long"),
}
# Everything that may be of the connection; `is_of_server` tells. The driver's internal error is what it answers to a
# statement between the server's last word and the end of the connection.
LOST = (
    # The last is what the pool raises where SQLAlchemy's own part has not been reached: on connecting for the driver alone.
    *(OSError, TimeoutError, PoolTimeout, DBAPIError, AsyncAdapt_asyncpg_dbapi.Error),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)


def violated(error: IntegrityError) -> str:
    """The name of the constraint that refused a row, "" when it has none."""
    cause = error.orig.__cause__ if error.orig else None
    return str(getattr(cause, "constraint_name", None) or "")


def is_of_server(error: BaseException) -> bool:
    """Whether `error` speaks of the connection or the server, rather than of what was asked."""
    if isinstance(error, OSError | TimeoutError | PoolTimeout | asyncpg.InternalClientError):
        return True
    code = _sqlstate(error)
    return code.startswith(_UNAVAILABLE) or code in _TRY_AGAIN


def is_refused(error: BaseException) -> bool:
    """Whether PostgreSQL does not take the login (any more)."""
    return _sqlstate(error).startswith("28")


def is_without_rights(error: BaseException) -> bool:
    """Whether this is what one is told who may do nothing: to whom no schema is open, not even the tables are there. Other
    mistakes look the same."""
    return _sqlstate(error).startswith(("42", "3F"))


def _sqlstate(error: BaseException | None) -> str:
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")


def unavailable(error: BaseException | None) -> DatabaseUnavailable:
    """`error` in our words, without what the server said: that may hold a user's data. None: the connection is of no use."""
    code = _sqlstate(error)
    if code in _TRY_AGAIN:
        return DatabaseUnavailable(_TRY_AGAIN[code][1], code=_TRY_AGAIN[code][0])
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("every connection to PostgreSQL is in use", code="DATABASE_BUSY")
    if code.startswith(("28", "3D")):
        return DatabaseUnavailable("PostgreSQL refuses the service's credentials", code="DATABASE_REFUSED")
    return DatabaseUnavailable("PostgreSQL cannot be reached")

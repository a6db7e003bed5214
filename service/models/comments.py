"""Which query each index serves, as its comment in the database: `create_all` makes them with each table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, event

from service.models.base import Base

KEY = "one row by its key"


def comments(table: Table) -> dict[str, str]:
    """What is said of each index of a table, that of its primary key included."""
    return {str(table.primary_key.name): KEY} | {str(one.name): one.info["serves"] for one in table.indexes}


@event.listens_for(Base.metadata, "after_create")
def _comment(_metadata: Any, connection: Connection, *, tables: Iterable[Table], **_: Any) -> None:
    for table in tables:
        for name, text in comments(table).items():
            quoted = text.replace("'", "''")
            connection.exec_driver_sql(f"COMMENT ON INDEX {name} IS '{quoted}'")

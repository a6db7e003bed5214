"""A database's schema as text that can be compared: what pg_dump writes, whatever the order in which it was made."""

from __future__ import annotations

import os
import subprocess

from tests.integration.service.servers import PG_BIN, SUPERUSER, Postgres


def dump(postgres: Postgres, database: str) -> list[str]:
    """Every statement that makes the schema, sorted: tables, constraints, indexes, comments, policies, grants, owners.

    Columns are sorted within their table, for a new column always comes last. Alembic's own table is left out.
    """
    made = subprocess.run(
        [
            str(PG_BIN / "pg_dump"),
            *("--schema-only", "--exclude-table=alembic_version"),
            *("-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres", database),
        ],
        env={"PATH": os.defpath, "PGPASSWORD": SUPERUSER},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    # Comments, psql's own commands and the settings of the session are not the schema.
    kept = (line for line in made.stdout.splitlines() if line and not line.startswith(("--", "\\", "SET ", "SELECT ")))
    return sorted(_sorted_columns(statement) for statement in "\n".join(kept).split(";\n"))


def _sorted_columns(statement: str) -> str:
    head, _, body = statement.partition(" (\n")
    if not head.startswith("CREATE TABLE"):
        return statement
    lines, _, end = body.rpartition("\n)")
    return "\n".join([head, *sorted(line.strip().removesuffix(",") for line in lines.splitlines()), end])


def difference(one: list[str], other: list[str]) -> list[str]:
    """What only one of the two has, for a message."""
    return sorted([f"- {line}" for line in {*one} - {*other}] + [f"+ {line}" for line in {*other} - {*one}])

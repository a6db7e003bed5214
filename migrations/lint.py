"""What a revision may not do to a database in use, found in the SQL that it would send.

Two sources: rules of this house, checked here and always; and squawk, which knows far more about locks, where it is
installed (a development dependency: `pip install squawk-cli`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrations import offline, revisions
from migrations.revisions import Revision

# What squawk is not asked for.
# - A lock is waited for five seconds at most (runner.py). How long VALIDATE or CREATE INDEX CONCURRENTLY then take is a
#   matter of rows; both let others read and write.
# - Integers are editions and changes of one row, and a status of HTTP.
# - Alembic's own table has a varchar. In ours, text is what a str of the models is (service/models/base.py).
_NOT_ASKED = ("require-statement-timeout", "prefer-bigint-over-int", "prefer-text-field")
_POSTGRES = "16.0"  # the oldest that is supported


@dataclass(frozen=True, slots=True)
class Problem:
    """A statement of a revision that breaks a rule. `source` is jeex or squawk, `statement` its beginning."""

    revision: str
    rule: str
    message: str
    statement: str
    source: str = "jeex"

    @property
    def line(self) -> str:
        """All of it, as one line."""
        where = f": {self.statement}" if self.statement else ""
        return f"{self.revision} {self.rule}: {self.message}{where}"


def squawk() -> Path | None:
    """The linter's program: that of this environment, or one in the PATH."""
    beside = Path(sys.executable).with_name("squawk")
    if beside.exists():
        return beside
    found = shutil.which("squawk")
    return Path(found) if found else None


def lint(wanted: Sequence[Revision]) -> tuple[Problem, ...]:
    """Every problem of these revisions, in their order. Raises OSError where squawk cannot be run."""
    program = squawk()
    found: list[Problem] = []
    for one in wanted:
        statements = offline.upgrade(one.parent, one.id)
        found += house_rules(one.id, statements)
        if program is not None:
            found += ask_squawk(program, one.id, offline.script(statements))
    return tuple(found)


def pending(below: str | None, target: str) -> tuple[Revision, ...]:
    """The revisions after `below` up to `target`."""
    line = revisions.history()
    known = [one.id for one in line]
    return line[known.index(below) + 1 if below else 0 : known.index(target) + 1]


def house_rules(revision: str, statements: Sequence[str]) -> Iterator[Problem]:
    """The rules that are this project's own."""
    made: dict[str, set[str]] = {}  # tables that this revision makes, with what was said of them
    in_transaction = False
    for raw in statements:
        text = _plain(raw)
        if text in ("BEGIN", "COMMIT"):
            in_transaction = text == "BEGIN"
            continue
        shown = text if len(text) <= 100 else text[:99] + "…"
        if match := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?(\S+)", text):
            made[match[1]] = set()
        for rule, message in (*_of_index(text, in_transaction, made), *_of_keys(text)):
            yield Problem(revision, rule, message, shown)
        if match := re.match(r"ALTER TABLE (\S+) (ENABLE|FORCE) ROW LEVEL SECURITY", text):
            made.setdefault(match[1], set()).add(match[2])
        if not in_transaction and re.match(r"ALTER TABLE \S+ ADD COLUMN (?!IF NOT EXISTS)", text):
            yield Problem(revision, "column-if-not-exists", "outside of a transaction: say IF NOT EXISTS", shown)
    for table, said in made.items():
        if table != "alembic_version" and said != {"ENABLE", "FORCE"} and f"CREATE TABLE {table}" in _joined(statements):
            missing = " and ".join(sorted({"ENABLE", "FORCE"} - said))
            yield Problem(revision, "row-security", f"table {table} lacks {missing} ROW LEVEL SECURITY", "")


def _of_index(text: str, in_transaction: bool, made: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    match = re.match(
        r"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(IF NOT EXISTS )?\S+ ON (?:ONLY )?([\w.\"]+)[^(]*\(([^)]*)", text
    )
    if match is not None:
        concurrently, careful, table, columns = match.groups()
        if concurrently and in_transaction:
            yield "index-outside-transaction", "CONCURRENTLY needs op.get_context().autocommit_block()"
        if concurrently and not careful:
            yield "index-if-not-exists", "a revision that was killed runs again: say IF NOT EXISTS"
        if not concurrently and table not in made:
            yield (
                "index-concurrently",
                f"{table} may be in use: CREATE INDEX CONCURRENTLY IF NOT EXISTS, in an autocommit_block",
            )
        if table != "tenant" and _first(columns) != "tenant_id":
            yield "tenant-first", f"an index of {table} begins with tenant_id"
    elif re.match(r"DROP INDEX (?!CONCURRENTLY)", text):
        yield "index-concurrently", "DROP INDEX CONCURRENTLY IF EXISTS, in an autocommit_block"


def _of_keys(text: str) -> Iterator[tuple[str, str]]:
    match = re.match(r"(?:CREATE TABLE (?:IF NOT EXISTS )?|ALTER TABLE (?:IF EXISTS )?)(\S+)", text)
    if match is None or match[1] in ("tenant", "alembic_version"):
        return
    for kind, columns in re.findall(r"(PRIMARY KEY|UNIQUE|FOREIGN KEY)\s*\(([^)]*)\)", text):
        if _first(columns) != "tenant_id":
            yield "tenant-first", f"{kind} of {match[1]} begins with tenant_id"
    if re.search(r"ON DELETE SET (?:NULL|DEFAULT)(?! \()", text):
        yield "set-null", "ON DELETE SET NULL would null tenant_id too: name the column, SET NULL (column)"
    if match[0].startswith("CREATE") and not re.search(r"\btenant_id uuid NOT NULL", text, re.IGNORECASE):
        yield "tenant-id", f"table {match[1]} has no tenant_id uuid NOT NULL"


def _first(columns: str) -> str:
    words = columns.replace('"', "").replace(",", " ").split()
    return words[0] if words else ""


def _plain(statement: str) -> str:
    """A statement on one line, without comments and what is quoted."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/", " ", statement, flags=re.DOTALL)
    text = re.sub(r"'(?:[^']|'')*'", "''", text)
    return " ".join(text.split()).removesuffix(";").rstrip()


def _joined(statements: Sequence[str]) -> str:
    return "\n".join(_plain(one).replace("IF NOT EXISTS ", "") for one in statements)


def ask_squawk(program: Path, revision: str, sql: str) -> Iterator[Problem]:
    """What squawk has to say of a script. Raises OSError where it cannot be run."""
    argv = [str(program), "--pg-version", _POSTGRES, "--exclude", ",".join(_NOT_ASKED), "--reporter", "json"]
    answer = subprocess.run(  # noqa: S603 - the linter, and no shell
        [*argv, "--stdin-filepath", f"{revision}.sql"], input=sql, capture_output=True, text=True, check=False, cwd="/"
    )
    if answer.returncode not in (0, 1) or not answer.stdout.strip():
        raise OSError(f"squawk ended with {answer.returncode}: {answer.stderr.strip()[-300:]}")
    lines = sql.splitlines()
    for one in json.loads(answer.stdout):
        at = int(one["line"])
        said = next((line for line in lines[at:] if line.strip()), "").strip()
        yield Problem(revision, one["rule_name"], one["message"], said[:100], "squawk")

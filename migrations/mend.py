"""The statements that turn one fact of a schema into another (catalogue.py), in a form that a table in use can take:
indexes CONCURRENTLY, constraints NOT VALID and then validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrations.catalogue import Facts, Name

INVALID = " -- INVALID"
_Made = Iterator[str]


def statements(name: Name, found: Facts, wanted: Facts) -> Iterator[str]:
    """What makes the fact `name` as it is in `wanted`. Nothing where only a revision, or nobody, can do that."""
    kind, of = name
    if kind == "column" and name in wanted:
        yield from _column(of, found, wanted)
    elif kind in _MAKERS:
        yield from _MAKERS[kind](of, found.get(name), wanted.get(name))


def _column(of: str, found: Facts, wanted: Facts) -> _Made:
    table, column = of.split(".", 1)
    said = wanted["column", of]
    if ("column", of) in found:
        if "GENERATED" not in said and "GENERATED" not in found["column", of]:
            yield f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {said}"
        return
    default = wanted.get(("default", of))
    filled = default is not None or "GENERATED" in said
    value = f" DEFAULT {default}" if default is not None else ""
    required = ("not null", of) in wanted
    yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {said}{value}{' NOT NULL' if required and filled else ''}"
    if required and not filled:  # rows that are there have no value yet
        yield f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"


def _drop_column(of: str, _found: str | None, _wanted: str | None) -> _Made:
    table, column = of.split(".", 1)
    yield f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}"


def _table(of: str, _found: str | None, wanted: str | None) -> _Made:
    if wanted is None:
        yield f"DROP TABLE {of}"


def _owner(of: str, _found: str | None, wanted: str | None) -> _Made:
    if wanted is not None:
        yield f"ALTER TABLE {of} OWNER TO {wanted}"


def _row_security(of: str, found: str | None, wanted: str | None) -> _Made:
    for one in (wanted or "").split(", "):
        if one and one not in (found or "").split(", "):
            yield f"ALTER TABLE {of} {one} ROW LEVEL SECURITY"


def _default(of: str, _found: str | None, wanted: str | None) -> _Made:
    table, column = of.split(".", 1)
    change = "DROP DEFAULT" if wanted is None else f"SET DEFAULT {wanted}"
    yield f"ALTER TABLE {table} ALTER COLUMN {column} {change}"


def _not_null(of: str, _found: str | None, wanted: str | None) -> _Made:
    table, column = of.split(".", 1)
    yield f"ALTER TABLE {table} ALTER COLUMN {column} {'DROP' if wanted is None else 'SET'} NOT NULL"


def _constraint(of: str, found: str | None, wanted: str | None) -> _Made:
    table, name = of.split(".", 1)
    if wanted is None:
        yield f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
        return
    if found != f"{wanted} NOT VALID":
        later = wanted.startswith(("CHECK", "FOREIGN KEY"))
        # What it drops it puts back, in one statement: interrupted, it can be run again.
        yield (
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, "
            f"ADD CONSTRAINT {name} {wanted}{' NOT VALID' if later else ''}"
        )
        if not later:
            return
    yield f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"


def _index(of: str, found: str | None, wanted: str | None) -> _Made:
    if found is not None:
        yield f"DROP INDEX CONCURRENTLY IF EXISTS {of}"
    if wanted is not None:
        head, rest = wanted.split(f" {of} ", 1)
        yield f"{head} CONCURRENTLY IF NOT EXISTS {of} {rest}"


def _comment(of: str, _found: str | None, wanted: str | None) -> _Made:
    what, target = of.split(" ", 1)
    said = "NULL" if wanted is None else "'" + wanted.replace("'", "''") + "'"
    yield f"COMMENT ON {what.upper()} {target} IS {said}"


def _policy(of: str, found: str | None, wanted: str | None) -> _Made:
    table, name = of.split(".", 1)
    if found is not None:
        yield f"DROP POLICY IF EXISTS {name} ON {table}"
    if wanted is not None:
        yield f"CREATE POLICY {name} ON {table} {wanted}"


def _grant(of: str, found: str | None, wanted: str | None) -> _Made:
    target, _, role = of.partition(" to ")
    here, there = _rights(found), _rights(wanted)
    # A right with another grant option is taken and given anew.
    for verb, link, rights in (("REVOKE", "FROM", here - there), ("GRANT", "TO", there - here)):
        plain = sorted(one.removesuffix(" WITH GRANT OPTION") for one in rights)
        if plain and "." in target:
            table, column = target.split(".", 1)
            yield f"{verb} {', '.join(f'{one} ({column})' for one in plain)} ON {table} {link} {role}"
        elif plain:
            yield f"{verb} {', '.join(plain)} ON {target} {link} {role}"


def _rights(said: str | None) -> set[str]:
    return set(said.split(", ")) if said else set()


def _on_table(what: str) -> Callable[[str, str | None, str | None], _Made]:
    def made(of: str, found: str | None, wanted: str | None) -> _Made:
        table, name = of.split(".", 1)
        if found is not None:
            yield f"DROP {what} {name} ON {table}"
        if wanted is not None:
            yield wanted

    return made


def _alone(what: str) -> Callable[[str, str | None, str | None], _Made]:
    def made(of: str, _found: str | None, wanted: str | None) -> _Made:
        if wanted is None:
            yield f"DROP {what} {of}"

    return made


def _role(of: str, found: str | None, wanted: str | None) -> _Made:
    here, there = set((found or "").split()), set((wanted or "").split())
    changes = [f"NO{one}" for one in sorted(here - there) if one != "NOLOGIN"] + sorted(there - here)
    if found is not None and changes:
        yield f"ALTER ROLE {of} {' '.join(changes)}"


def _role_setting(of: str, _found: str | None, wanted: str | None) -> _Made:
    role, setting = of.split(" ", 1)
    yield f"ALTER ROLE {role} RESET {setting}" if wanted is None else f"ALTER ROLE {role} SET {setting} = '{wanted}'"


def _membership(of: str, _found: str | None, wanted: str | None) -> _Made:
    member, _, role = of.partition(" in ")
    if wanted is None:
        yield f"REVOKE {role} FROM {member}"
        return
    options = {one: str(one in wanted.split(", ")).upper() for one in ("ADMIN", "INHERIT", "SET")}
    yield f"GRANT {role} TO {member} WITH {', '.join(f'{one} {value}' for one, value in options.items())}"


_MAKERS: dict[str, Callable[[str, str | None, str | None], _Made]] = {
    "column": _drop_column,
    "table": _table,
    "owner": _owner,
    "row security": _row_security,
    "default": _default,
    "not null": _not_null,
    "constraint": _constraint,
    "index": _index,
    "comment": _comment,
    "policy": _policy,
    "grant": _grant,
    "trigger": _on_table("TRIGGER"),
    "rule": _on_table("RULE"),
    "function": _alone("FUNCTION"),
    "type": _alone("TYPE"),
    "role": _role,
    "role setting": _role_setting,
    "membership": _membership,
}

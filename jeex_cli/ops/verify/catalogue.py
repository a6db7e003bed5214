# ruff: noqa: S608 - every text in these statements is our own
"""What PostgreSQL's catalogue says of tables, roles and rights: what no attack can try without harm, or by chance alone.

Each question finds what is wrong, and nothing where all is well. It is asked of whatever there is, so a new table, view or
function is asked about, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeex_cli.checks.postgres_isolation import Policy
from jeex_cli.ops.verify.evidence import Evidence

if TYPE_CHECKING:
    import asyncpg

_OURS = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
_OF_A_TENANT = f"""
(SELECT class.oid FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
   JOIN pg_attribute ON attrelid = class.oid AND attname = 'tenant_id' AND attnum > 0 AND NOT attisdropped
  WHERE relkind IN ('r', 'p') AND {_OURS})
"""
_SERVICE = """
(SELECT oid FROM pg_roles WHERE rolname IN ('jeex_app', 'jeex_admin') OR rolname <> 'jeex_logins' AND EXISTS (
   SELECT FROM pg_auth_members JOIN pg_roles AS parent ON parent.oid = roleid
    WHERE member = pg_roles.oid AND parent.rolname IN ('jeex_app', 'jeex_admin')) AND NOT rolsuper)
"""


@dataclass(frozen=True, slots=True)
class Question:
    """`query` finds (thing, detail) for each hole; `hole` and `close` are said of those."""

    what: str
    query: str
    hole: str
    close: str


_QUESTIONS = (
    Question(
        "roles that row security does not hold",
        """
        SELECT rolname, CASE WHEN rolsuper THEN 'SUPERUSER' WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'REPLICATION' END
          FROM pg_roles AS role WHERE (rolsuper OR rolbypassrls OR rolreplication) AND (rolname LIKE 'jeex\\_%' OR EXISTS (
            SELECT FROM pg_auth_members JOIN pg_roles AS parent ON parent.oid = roleid WHERE member = role.oid
               AND parent.rolname IN ('jeex_app', 'jeex_admin') AND role.rolname <> 'postgres'))
        """,
        "{0} is {1}: row security does not hold it",
        "ALTER ROLE {0} NOSUPERUSER NOBYPASSRLS NOREPLICATION",
    ),
    Question(
        "roles that are more than themselves",
        f"""
        SELECT pg_get_userbyid(member), pg_get_userbyid(roleid) FROM pg_auth_members
         WHERE member IN {_SERVICE} AND NOT (pg_get_userbyid(member) LIKE 'v-%'
           AND pg_get_userbyid(roleid) IN ('jeex_app', 'jeex_admin'))
        """,
        "{0} is a member of {1}, and has its rights",
        "REVOKE {1} FROM {0}",
    ),
    Question(
        "things that roles of the service own",
        f"""
        SELECT pg_get_userbyid(refobjid), pg_describe_object(classid, objid, 0) FROM pg_shdepend
         WHERE refclassid = 'pg_authid'::regclass AND deptype = 'o' AND refobjid IN {_SERVICE}
           AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        """,
        "{0} owns {1}: an owner can take row security away",
        "give {1} to jeex_owner",
    ),
    Question(
        "tables whose row security is off, or not forced",
        f"""
        SELECT oid::regclass::text, CASE WHEN relrowsecurity THEN 'not forced: its owner passes it by' ELSE 'off' END
          FROM pg_class WHERE oid IN {_OF_A_TENANT} AND NOT (relrowsecurity AND relforcerowsecurity)
        """,
        "row security of {0} is {1}",
        "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    ),
    Question(
        "tables without a policy",
        f"""
        SELECT oid::regclass::text, '' FROM pg_class
         WHERE oid IN {_OF_A_TENANT} AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polpermissive)
        """,
        "{0} has no policy that is bound to a tenant",
        "CREATE POLICY own_tenant ON {0} TO jeex_app, jeex_admin USING (tenant_id = "
        "current_setting('app.tenant_id')::uuid) WITH CHECK (tenant_id = current_setting('app.tenant_id')::uuid)",
    ),
    Question(
        "keys that go over all tenants",
        f"""
        SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index
         WHERE (indisunique OR indisexclusion) AND indrelid IN {_OF_A_TENANT} AND NOT EXISTS (
           SELECT FROM pg_attribute WHERE attrelid = indrelid AND attname = 'tenant_id' AND attnum = ANY (indkey))
        """,
        "the key {1} of {0} is without the tenant: whoever is refused by it learns of others' rows",
        "begin {1} with tenant_id",
    ),
    Question(
        "references from tenant to tenant",
        f"""
        SELECT conrelid::regclass::text, conname::text FROM pg_constraint
         WHERE contype = 'f' AND conrelid IN {_OF_A_TENANT} AND confrelid IN {_OF_A_TENANT} AND NOT EXISTS (
           SELECT FROM unnest(conkey, confkey) AS pair (own, theirs)
             JOIN pg_attribute AS a ON a.attrelid = conrelid AND a.attnum = own AND a.attname = 'tenant_id'
             JOIN pg_attribute AS b ON b.attrelid = confrelid AND b.attnum = theirs AND b.attname = 'tenant_id')
        """,
        "the reference {1} of {0} is without the tenant: it finds rows of others",
        "have {1} include tenant_id on both sides",
    ),
    Question(
        "rights for everybody",
        f"""
        SELECT class.oid::regclass::text, privilege_type FROM pg_class AS class
          JOIN pg_namespace AS space ON space.oid = relnamespace, aclexplode(relacl) WHERE {_OURS} AND grantee = 0
        UNION ALL
        SELECT attrelid::regclass || '.' || attname, privilege_type FROM pg_attribute
          JOIN pg_class AS class ON class.oid = attrelid
          JOIN pg_namespace AS space ON space.oid = relnamespace, aclexplode(attacl) WHERE {_OURS} AND grantee = 0
        UNION ALL
        SELECT 'SCHEMA ' || nspname, privilege_type FROM pg_namespace, aclexplode(nspacl) WHERE {_OURS} AND grantee = 0
        UNION ALL
        SELECT 'DATABASE ' || datname, privilege_type FROM pg_database, aclexplode(datacl)
         WHERE grantee = 0 AND datname = current_database()
        """,
        "everybody (PUBLIC) has {1} on {0}",
        "REVOKE {1} ON {0} FROM PUBLIC",
    ),
    Question(
        "rights that row security does not hold",
        f"""
        SELECT class.oid::regclass::text, pg_get_userbyid(grantee) || ' has ' || privilege_type FROM pg_class AS class
          JOIN pg_namespace AS space ON space.oid = relnamespace, aclexplode(relacl)
         WHERE {_OURS} AND relkind IN ('r', 'p') AND grantee IN {_SERVICE}
           AND (privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') OR is_grantable)
        """,
        "on {0}, {1}: row security does not hold that",
        "REVOKE it on {0}, and grant SELECT, INSERT, UPDATE, DELETE alone, without grant option",
    ),
    Question(
        "functions that run as their owner",
        f"""
        SELECT function.oid::regprocedure::text, pg_get_userbyid(proowner) FROM pg_proc AS function
          JOIN pg_namespace AS space ON space.oid = pronamespace
         WHERE {_OURS} AND prosecdef AND has_function_privilege('jeex_app', function.oid, 'EXECUTE')
        """,
        "the function {0} is SECURITY DEFINER: whoever calls it sees what {1} sees",
        "DROP FUNCTION {0}, or make it SECURITY INVOKER, or REVOKE EXECUTE on it FROM PUBLIC, jeex_app",
    ),
    Question(
        "views that run as their owner",
        f"""
        SELECT class.oid::regclass::text, pg_get_userbyid(relowner) FROM pg_class AS class
          JOIN pg_namespace AS space ON space.oid = relnamespace
         WHERE {_OURS} AND has_table_privilege('jeex_app', class.oid, 'SELECT')
           AND (relkind = 'm' OR relkind = 'v' AND NOT coalesce(
             (SELECT option_value::bool FROM pg_options_to_table(reloptions) WHERE option_name = 'security_invoker'), false))
        """,
        "the view {0} shows what {1} sees, whoever asks",
        "DROP it, or ALTER VIEW {0} SET (security_invoker = true)",
    ),
    Question(
        "sequences that count over all tenants",
        f"""
        SELECT class.oid::regclass::text, '' FROM pg_class AS class JOIN pg_namespace AS space ON space.oid = relnamespace
         WHERE {_OURS}
           AND CASE relkind WHEN 'S' THEN has_sequence_privilege('jeex_app', class.oid, 'SELECT, USAGE, UPDATE') END
        """,
        "the sequence {0} tells every tenant how much the others do",
        "use uuidv7() for ids in place of {0}",
    ),
)
_POLICIES = f"""
SELECT polrelid::regclass::text AS table, polname::text AS name, polcmd::text AS command,
       coalesce(pg_get_expr(polqual, polrelid), '') AS rows, coalesce(pg_get_expr(polwithcheck, polrelid), '') AS written
  FROM pg_policy WHERE polpermissive AND polrelid IN {_OF_A_TENANT} ORDER BY 1, 2
"""


async def look(witness: asyncpg.Connection[Any], evidence: Evidence) -> None:
    """Ask every question."""
    for one in _QUESTIONS:
        found = await witness.fetch(one.query)
        for thing, detail in found:
            evidence.hole("sql", one.what, one.hole.format(thing, detail), one.close.format(thing, detail))
        if not found:
            evidence.refused("sql", one.what, "there are none")
    await _policies(witness, evidence)


async def _policies(witness: asyncpg.Connection[Any], evidence: Evidence) -> None:
    for row in await witness.fetch(_POLICIES):
        rows = row["written"] if row["command"] == "a" else row["rows"]
        written = rows if row["command"] in "rd" else row["written"] or rows
        holds = Policy(row["table"], row["name"], rows).binds and Policy(row["table"], row["name"], written).binds
        evidence.judged(
            "sql",
            f"the policy {row['name']} of {row['table']}",
            holds=holds,
            refusal="it is bound to the tenant at hand",
            hole=f"the policy {row['name']} of {row['table']} lets rows of other tenants through: "
            f"USING ({row['rows']}) WITH CHECK ({row['written'] or row['rows']})",
            close=f"DROP POLICY {row['name']} ON {row['table']}, unless it is own_tenant: jeex doctor --fix",
        )

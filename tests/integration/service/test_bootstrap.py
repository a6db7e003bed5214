"""bootstrap.sql: roles that can do what they must and no more."""

from __future__ import annotations

from pathlib import Path

from tests.integration.service.servers import PASSWORDS, Postgres


def test_roles_have_no_powers(postgres: Postgres) -> None:
    rows = postgres.sql(
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls, rolcreaterole, "
        "left(rolpassword, 13) FROM pg_authid WHERE rolname LIKE 'jeex_%' ORDER BY 1"
    )
    assert rows.splitlines() == [
        f"jeex_{name}|t|f|{'t' if name == 'logins' else 'f'}|SCRAM-SHA-256"
        for name in ("admin", "app", "logins", "owner", "vault")
    ]


def test_who_makes_logins_gives_the_two_roles_and_has_neither(postgres: Postgres) -> None:
    made = "CREATE ROLE made LOGIN IN ROLE {role}; DROP ROLE made"
    for role in ("jeex_app", "jeex_admin"):
        assert postgres.sql(made.format(role=role), user="jeex_logins") == ""
    for role in ("jeex_owner", "jeex_vault", "postgres", "pg_read_all_data"):
        refused = postgres.psql("-c", made.format(role=role), user="jeex_logins", database="jeex")
        assert "permission denied to grant role" in refused.stderr
    for statement in (
        *("SET ROLE jeex_app", "SET ROLE jeex_owner", "CREATE ROLE made SUPERUSER", "CREATE ROLE made BYPASSRLS"),
        *("ALTER ROLE jeex_owner PASSWORD 'x'", "ALTER ROLE jeex_vault PASSWORD 'x'", "DROP ROLE jeex_owner"),
        "SELECT 1 FROM tenant",
    ):
        assert postgres.psql("-c", statement, user="jeex_logins", database="migrated").returncode, statement


def test_twice_is_the_same_as_once(postgres: Postgres) -> None:
    state = (
        "SELECT string_agg(x::text, ';' ORDER BY x::text) FROM ("
        "SELECT row(rolname, rolconfig, rolconnlimit)::text FROM pg_roles UNION ALL "
        "SELECT row(datname, datdba, datacl)::text FROM pg_database) AS found(x)"
    )
    before = postgres.sql(state)
    result = postgres.bootstrap()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert postgres.sql(state) == before


def test_sets_the_passwords_given(own_postgres: Postgres) -> None:
    hostile = {**PASSWORDS, "app": "it's \\ :app_password \" $$ ÿ"}
    assert own_postgres.bootstrap(hostile).returncode == 0
    assert own_postgres.psql("-c", "SELECT 1", user="jeex_app", database="jeex").returncode == 2
    as_given = own_postgres.psql("-c", "SELECT 1", user="jeex_app", database="jeex", env={"PGPASSWORD": hostile["app"]})
    assert as_given.stdout == "1\n", as_given.stderr


def test_refuses_a_missing_or_empty_password_and_changes_nothing(postgres: Postgres) -> None:
    without = {name: text for name, text in PASSWORDS.items() if name != "app"}
    for passwords in (without, {**PASSWORDS, "app": ""}):
        result = postgres.bootstrap(passwords)
        assert result.returncode != 0
        assert "JEEX_DB_APP_PASSWORD" in result.stderr
        assert postgres.sql("SELECT current_user", user="jeex_owner") == "jeex_owner"


def test_no_password_reaches_the_log(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "noisy", options=("-c", "log_statement=all", "-c", "log_min_duration_statement=0"))
    server.create()
    server.start()
    try:
        assert server.bootstrap().returncode == 0
    finally:
        server.stop()
    log = server.log.read_text()
    assert "SET log_statement" in log  # statements are logged indeed
    assert not [text for text in PASSWORDS.values() if text in log]


def test_each_role_enters_its_own_database_only(postgres: Postgres) -> None:
    allowed = {
        (role, database)
        for role in PASSWORDS
        for database in ("jeex", "jeex_vault", "postgres", "template1")
        if postgres.psql("-c", "SELECT 1", user=f"jeex_{role}", database=database).returncode == 0
    }
    assert allowed == {("owner", "jeex"), ("app", "jeex"), ("admin", "jeex"), ("logins", "jeex"), ("vault", "jeex_vault")}


def test_only_the_owner_makes_objects(postgres: Postgres) -> None:
    for role in ("app", "admin"):
        for statement in ("CREATE TABLE mine (x int)", "CREATE SCHEMA mine", "CREATE TEMP TABLE mine (x int)"):
            assert "permission denied" in postgres.psql("-c", statement, user=f"jeex_{role}", database="jeex").stderr
    assert postgres.sql("CREATE TABLE mine (x int); DROP TABLE mine", user="jeex_owner") == ""


def test_the_service_has_limits_of_its_own(postgres: Postgres) -> None:
    assert postgres.sql("SHOW statement_timeout", user="jeex_app") == "30s"
    assert postgres.sql("SHOW idle_in_transaction_session_timeout", user="jeex_admin") == "1min"

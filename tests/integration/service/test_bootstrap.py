"""bootstrap.sql: roles that can do what they must and no more."""

from __future__ import annotations

from pathlib import Path

from tests.integration.service.servers import PASSWORDS, Postgres


def test_roles_have_no_powers(postgres: Postgres) -> None:
    rows = postgres.sql(
        "SELECT rolname, rolcanlogin, rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls, "
        "left(rolpassword, 13) FROM pg_authid WHERE rolname LIKE 'jeex_%' ORDER BY 1"
    )
    assert rows.splitlines() == [f"jeex_{name}|t|f|SCRAM-SHA-256" for name in ("admin", "app", "owner", "vault")]


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
    for passwords in ({"owner": "x", "admin": "x", "vault": "x"}, {**PASSWORDS, "app": ""}):
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
        for role in ("owner", "app", "admin", "vault")
        for database in ("jeex", "jeex_vault", "postgres", "template1")
        if postgres.psql("-c", "SELECT 1", user=f"jeex_{role}", database=database).returncode == 0
    }
    assert allowed == {("owner", "jeex"), ("app", "jeex"), ("admin", "jeex"), ("vault", "jeex_vault")}


def test_only_the_owner_makes_objects(postgres: Postgres) -> None:
    for role in ("app", "admin"):
        for statement in ("CREATE TABLE mine (x int)", "CREATE SCHEMA mine", "CREATE TEMP TABLE mine (x int)"):
            assert "permission denied" in postgres.psql("-c", statement, user=f"jeex_{role}", database="jeex").stderr
    assert postgres.sql("CREATE TABLE mine (x int); DROP TABLE mine", user="jeex_owner") == ""


def test_the_service_has_limits_of_its_own(postgres: Postgres) -> None:
    assert postgres.sql("SHOW statement_timeout", user="jeex_app") == "30s"
    assert postgres.sql("SHOW idle_in_transaction_session_timeout", user="jeex_admin") == "1min"

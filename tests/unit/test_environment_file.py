"""`.env` as jeex writes it."""

from __future__ import annotations

import re
from pathlib import Path

from jeex_cli import dotenv, environment_file, stack
from jeex_cli.project import Project, bundled
from jeex_cli.settings import DEFAULTS, GENERATED, SECRETS


def read(project: Project) -> dict[str, str]:
    return dotenv.parse(project.env_file.read_text(), source=".env", environ={})


def test_first_use_makes_every_secret_random_and_the_file_private(tmp_path: Path) -> None:
    one, two = Project(tmp_path / "My Stack"), Project(tmp_path / "other")
    for project in (one, two):
        project.root.mkdir()
        assert set(environment_file.ensure(project, {}, {})) == {*SECRETS, *GENERATED}
        assert project.env_file.stat().st_mode & 0o777 == 0o600
    first, second = read(one), read(two)
    assert all(len(first[name]) == length for name, (_, length) in SECRETS.items())
    assert all(first[name] != second[name] for name in (*SECRETS, "JEEX_PROJECT"))
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", first["JEEX_PROJECT"])


def test_nothing_but_values_is_added_to_the_example(tmp_path: Path) -> None:
    project = Project(tmp_path)
    environment_file.ensure(project, {}, {})
    made, example = project.env_file.read_text(), bundled(".env.example").read_text()
    assert re.sub(r"^(\w+)=.+$", r"\1=", made, flags=re.MULTILINE) == example  # its last line has an end: `echo ... >> .env`


def test_a_second_use_changes_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    environment_file.ensure(project, {}, {})
    before = project.env_file.read_text()
    assert environment_file.ensure(project, read(project), {}) == []
    assert project.env_file.read_text() == before


def test_what_the_user_wrote_stays(tmp_path: Path) -> None:
    project = Project(tmp_path)
    mine = "# mine\nJEEX_API_PORT=6000\nJEEX_REDIS_PASSWORD=chosen\nOTHER='a b'\n"
    project.env_file.write_text(mine)
    added = environment_file.ensure(project, read(project), {"JEEX_VAULT_SEAL_KEY"})
    after = read(project)
    assert project.env_file.read_text().startswith(mine.rstrip())
    assert after["JEEX_REDIS_PASSWORD"] == "chosen"
    assert "JEEX_VAULT_SEAL_KEY" not in after  # the environment sets it
    assert set(added) == {*SECRETS, *GENERATED} - {"JEEX_REDIS_PASSWORD", "JEEX_VAULT_SEAL_KEY"}


def test_the_example_documents_every_variable_and_no_other() -> None:
    text = bundled(".env.example").read_text()
    documented = set(re.findall(r"^#?(JEEX_[A-Z0-9_]+)=", text, re.MULTILINE))
    assert documented == set(stack.variables(bundled("compose.yaml"))) | set(DEFAULTS)


def test_the_example_gives_the_true_defaults() -> None:
    text = bundled(".env.example").read_text()
    shown = dict(re.findall(r"^#(JEEX_[A-Z0-9_]+)=(.+)$", text, re.MULTILINE))
    true = {**stack.variables(bundled("compose.yaml")), **DEFAULTS}
    assert {name: true[name] for name in shown} == shown

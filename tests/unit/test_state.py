"""What is remembered, and the lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jeex_cli import state
from jeex_cli.errors import NotReady, StateError, TimedOut
from jeex_cli.project import Project
from jeex_cli.state import State


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert state.load(project) == State()
    state.save(project, State("embedded", {"JEEX_API_PORT": "6000"}))
    assert state.load(project) == State("embedded", {"JEEX_API_PORT": "6000"})
    assert project.state_file.stat().st_mode & 0o777 == 0o600
    assert project.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 99}',
        '{"version": 1, "variables": []}',
        '{"version": 1, "variables": {"a": 1}}',
        "\0",
    ],
)
def test_a_corrupted_file_is_named_with_the_way_out_and_left_alone(tmp_path: Path, content: str) -> None:
    project = Project(tmp_path)
    project.folder.mkdir()
    project.state_file.write_text(content)
    with pytest.raises(StateError) as caught:
        state.load(project)
    assert str(project.state_file) in caught.value.message
    assert caught.value.hint.endswith(f"rm '{project.state_file}'")
    assert project.state_file.read_text() == content


def test_the_lock_names_its_holder_and_falls_with_its_process(tmp_path: Path) -> None:
    project = Project(tmp_path)
    script = (
        "import sys, pathlib, time; from jeex_cli import state; from jeex_cli.project import Project\n"
        "with state.locked(Project(pathlib.Path(sys.argv[1])), timeout=1, waiting=print):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert state.busy(project)
        told: list[str] = []
        with (
            pytest.raises(TimedOut, match=str(other.pid)),
            state.locked(project, timeout=0.2, waiting=told.append),
        ):
            pytest.fail("the lock was given twice")
        assert len(told) == 1
        other.kill()
    with state.locked(project, timeout=5, waiting=told.append):
        assert state.busy(project)
    assert not state.busy(project)


def test_a_folder_that_cannot_be_made_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / ".jeex").write_text("a file in the way")
    with pytest.raises(NotReady, match="cannot write"):
        state.save(Project(tmp_path), State("embedded"))

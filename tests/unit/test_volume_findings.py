"""What is seen in a volume, and what that means for its service."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jeex_cli import stack
from jeex_cli.runtimes import compose_volumes, volume_findings
from jeex_cli.runtimes.volume_findings import Inside
from jeex_cli.stack import Service

ROOT = Path(__file__).parents[2]
FOLDER, CLOSED, FILE = "41ed", "41c0", "8180"  # 0755, 0700, and a file of 0600
HEAD = "user 999 999 994\nserver postgres (PostgreSQL) 18.6 (Debian 18.6-1)\n"


def inside(*lines: str) -> Inside:
    found = volume_findings.read(HEAD + "".join(f"{line}\n" for line in lines) + "end\n")
    assert found is not None
    return found


def service(name: str) -> Service:
    return stack.load(ROOT / "compose.yaml", {}).service(name)


def code(found: Inside, data: str = "18/docker") -> str:
    error = volume_findings.postgres("v", service("postgres"), found, data)
    return "" if error is None else error.code


ROOT_OF_POSTGRES = f"entry 999 999 {FOLDER} ."
WELL = (ROOT_OF_POSTGRES, f"entry 999 999 {CLOSED} ./18", f"entry 999 999 {CLOSED} ./18/docker")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((f"entry 0 0 {FOLDER} .",), ""),  # new: Docker will make it PostgreSQL's
        ((f"entry 0 0 {FOLDER} .", f"entry 0 0 {FOLDER} ./lost+found"), ""),
        ((*WELL, "version 18 18/docker/PG_VERSION", "filled 18/docker"), ""),
        (WELL, ""),  # made by hand, to begin in
        ((*WELL, "filled 18/docker"), "DATA_FOREIGN"),
        ((*WELL, "version 16 18/docker/PG_VERSION", "filled 18/docker"), "DATA_VERSION"),
        ((ROOT_OF_POSTGRES, f"entry 999 999 {CLOSED} ./16", "version 16 16/docker/PG_VERSION"), "DATA_VERSION"),
        ((ROOT_OF_POSTGRES, f"entry 999 999 {FOLDER} ./base", "version 9.6 PG_VERSION"), "DATA_VERSION"),
        ((*WELL, "version 18 18/docker/PG_VERSION", "version 16 16/docker/PG_VERSION"), ""),  # beside it
        ((*WELL, f"entry 999 999 {CLOSED} ./16", "version 16 16/docker/PG_VERSION"), ""),
        ((ROOT_OF_POSTGRES, WELL[1], f"entry 70 70 {CLOSED} ./18/docker"), "DATA_OWNER"),
        ((ROOT_OF_POSTGRES, WELL[1], f"entry 999 999 {FOLDER} ./18/docker"), "DATA_OWNER"),  # PostgreSQL refuses 0755
        ((ROOT_OF_POSTGRES, WELL[1], "entry 999 999 41e8 ./18/docker"), ""),  # and accepts 0750
        ((ROOT_OF_POSTGRES, f"entry 0 0 {CLOSED} ./18", WELL[2]), "DATA_OWNER"),  # cannot come to it
        ((ROOT_OF_POSTGRES, f"entry 0 0 {FOLDER} ./18", WELL[2]), ""),
        ((f"entry 0 0 {FOLDER} .", f"entry 0 0 {FOLDER} ./18"), "DATA_OWNER"),  # cannot make it
        ((f"entry 0 0 {FOLDER} .", f"entry 0 0 {FILE} ./readme"), "DATA_OWNER"),
        (("entry 0 994 41f8 .", f"entry 0 0 {FILE} ./readme"), ""),  # 0770, and in the group
        (("entry 0 0 41ff .", f"entry 0 0 {FILE} ./readme"), ""),  # 0777
    ],
)
def test_postgres(lines: tuple[str, ...], expected: str) -> None:
    assert code(inside(*lines)) == expected


def test_another_folder_for_the_same_version_would_begin_empty_too() -> None:
    assert code(inside(*WELL, "version 18 18/docker/PG_VERSION"), "18.6/docker") == "DATA_VERSION"


def test_a_data_directory_outside_the_volume_is_not_judged() -> None:
    assert code(inside(ROOT_OF_POSTGRES, "version 16 16/docker/PG_VERSION"), "") == ""


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((f"entry 0 0 {FOLDER} .",), ""),
        ((f"entry 999 999 {FOLDER} .", f"entry 999 999 {FILE} ./dump.rdb"), ""),
        ((f"entry 999 999 {FOLDER} .", f"entry 0 0 {FILE} ./dump.rdb"), "dump.rdb in the volume v"),
        ((f"entry 0 0 {FOLDER} .", f"entry 999 999 {FILE} ./dump.rdb"), "cannot use the volume v"),
        (("entry 0 0 41ff .", f"entry 999 999 {FILE} ./dump.rdb"), ""),
    ],
)
def test_any_other(lines: tuple[str, ...], problem: str) -> None:
    error = volume_findings.plain("v", service("redis"), inside(*lines))
    assert (error is not None) == bool(problem)
    if error is not None:
        assert problem in error.message and "runs as user 999" in error.message
        assert "--entrypoint chown -v v:/v redis:8.2 -R 999:999 /v" in error.hint


def test_what_was_printed_by_halves_says_nothing() -> None:
    assert volume_findings.read("") is None
    assert volume_findings.read(HEAD) is None
    assert volume_findings.read("server postgres (PostgreSQL) 18.6\nend\n") is None  # the image has no such user


def test_names_of_files_cannot_pass_for_anything_else() -> None:
    found = inside(*WELL, "version 18 18/docker/PG_VERSION", "entry 0 0 zz ./a", "b", "version ../../x PG_VERSION", "user x")
    assert found.clusters == {"18/docker": "18"}
    assert set(found.entries) == {".", "18", "18/docker"}


def test_databases_within_a_data_directory_are_none_of_their_own() -> None:
    found = inside(ROOT_OF_POSTGRES, "version 16 PG_VERSION", "version 16 base/1/PG_VERSION", "version 15 old/PG_VERSION")
    assert found.clusters == {".": "16"}


def test_whose_each_volume_is_stands_in_compose_yaml_too() -> None:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text())
    labels = {name: body["labels"][compose_volumes.OWNER] for name, body in document["volumes"].items()}
    assert labels == {
        **{"postgres-data": "postgres", "redis-data": "redis", "qdrant-data": "qdrant"},
        **{"handover-api": "api", "handover-worker": "worker"},
        **{"metrics-data": "metrics", "logs-data": "log-store", "shipper-data": "log-shipper"},
    }
    for key, (name, user) in compose_volumes.KNOWN.items():
        body = document["services"][name]
        assert body["user"] == user and labels[key] == name
        assert any(one.startswith(f"{key}:") for one in body["volumes"])
    assert "postgres-data:/var/lib/postgresql" in document["services"]["postgres"]["volumes"]
    assert service("postgres").environment["PGDATA"] == "/var/lib/postgresql/18/docker"

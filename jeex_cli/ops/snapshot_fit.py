"""What a restore is refused for, before anything is touched."""

from __future__ import annotations

from jeex_cli.errors import DataError
from jeex_cli.ops import carry_database, snapshot_database, snapshot_redis, snapshot_store, snapshots
from jeex_cli.ops.snapshot_manifest import Manifest
from jeex_cli.session import Session

_NOTHING = "Nothing was changed."


def check(session: Session, manifest: Manifest) -> None:
    """All that can be told without a server. Raises DataError."""
    opens(session, manifest)
    _head(manifest)
    if manifest.vault != snapshots.vault_kind(session):
        raise DataError(
            f"the snapshot has the storage of {manifest.vault}, which {snapshots.vault_kind(session)} cannot read",
            code="VAULT_STORAGE",
            detail=_NOTHING,
            hint="set JEEX_VAULT_IMAGE as it was when the snapshot was made",
        )
    place = snapshot_store.folder(session.project) / manifest.id
    snapshot_store.verify(place, manifest)
    snapshot_redis.check(place / snapshot_redis.COMMANDS)


def opens(session: Session, manifest: Manifest) -> None:
    """Raise DataError where this project's `.env` does not open it, or where it was changed since it was made."""
    mine = snapshots.opens_with(session)
    if others := [name for name, print_ in manifest.opens_with.items() if mine.get(name) != print_]:
        raise DataError(
            f"the secrets in the snapshot open with other keys than this project has: {', '.join(others)}",
            code="SNAPSHOT_KEYS",
            detail=f"It was made in the project {manifest.project}. {_NOTHING}",
            hint=f"put {' and '.join(others)} of that project into {session.project.env_file}; "
            "what is in this project's Vault does not open with them, so do that before its first jeex up",
        )
    if not manifest.is_authentic(snapshots.key(session)):
        raise DataError(
            f"the snapshot {manifest.id} was changed after it was made: its manifest does not bear the mark of this key",
            code="SNAPSHOT_TAMPERED",
            detail=_NOTHING,
            hint="use another: jeex snapshot list",
        )


def server(manifest: Manifest, postgres: carry_database.Server, vault: str) -> None:
    """The rest, once the server runs; `vault` is the version of Vault's, "" where it does not answer. Raises DataError."""
    now = {"postgresql": snapshot_database.version(postgres), "vault": vault}
    titles = {"postgresql": "PostgreSQL", "vault": "Vault"}
    for name, version in now.items():
        was = manifest.versions.get(name, "")
        if was and version and _major(was) != _major(version):
            raise DataError(
                f"the snapshot is of {titles[name]} {was}, and here runs {version}",
                code="SNAPSHOT_VERSION",
                detail=_NOTHING,
                hint=f"run {titles[name]} {_major(was)}, then run the same command again",
            )


def _head(manifest: Manifest) -> None:
    from migrations import revisions

    known = [one.id for one in revisions.history()]
    if manifest.head is not None and manifest.head not in known:
        raise DataError(
            f"the snapshot is at revision {manifest.head}, which this version of the platform does not know",
            code="SNAPSHOT_NEWER",
            detail=f"It was written by jeex {manifest.jeex}. {_NOTHING}",
            hint="use the version that wrote it, or a newer one",
        )


def is_behind(manifest: Manifest) -> bool:
    """Whether migrations have to follow."""
    from migrations import revisions

    return manifest.head != revisions.head()


def _major(version: str) -> str:
    return version.removeprefix("v").split(".", 1)[0]

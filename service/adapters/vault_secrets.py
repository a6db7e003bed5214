"""The key-value engine (version 2) as a SecretStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from hvac.exceptions import InvalidPath, InvalidRequest

from service.adapters.secret_store import Metadata, SecretVersion, VersionInfo, changed
from service.adapters.vault import Vault
from service.core.errors import InvalidInput

KV = "secret"  # where vault_setup.py mounts the engine


class VaultSecrets:
    """Paths are below the engine's mount. What may be reached is what the role of `vault` allows."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._kv = vault.client.secrets.kv.v2

    def get(self, path: str, version: int | None = None) -> SecretVersion | None:
        """The newest version at `path`, or that one; None where there is nothing to read."""
        try:
            answer = self._vault.permitted(
                lambda: self._kv.read_secret_version(path, version=version, mount_point=KV, raise_on_deleted_version=False)
            )
        except InvalidPath:
            return None
        about = answer["data"]["metadata"]
        if answer["data"]["data"] is None:  # deleted
            return None
        return SecretVersion(answer["data"]["data"], int(about["version"]), datetime.fromisoformat(about["created_time"]))

    def put(self, path: str, values: Mapping[str, str], *, seen: int | None = None) -> int:
        """Write a version, and say which. Raises Conflict, InvalidInput."""
        try:
            answer = self._vault.permitted(
                lambda: self._kv.create_or_update_secret(path, dict(values), cas=seen, mount_point=KV)
            )
        except InvalidRequest as error:
            if "check-and-set" in str(error):
                raise changed(path) from error
            raise InvalidInput(f"Vault does not take what was to be written to {path}", field="value") from error
        return int(answer["data"]["version"])

    def delete(self, path: str, versions: Sequence[int] = ()) -> None:
        """Make versions unreadable, the newest by default."""
        if versions:
            self._vault.permitted(lambda: self._kv.delete_secret_versions(path, list(versions), mount_point=KV))
        else:
            self._vault.permitted(lambda: self._kv.delete_latest_version_of_secret(path, mount_point=KV))

    def undelete(self, path: str, versions: Sequence[int]) -> None:
        """Bring deleted versions back."""
        self._vault.permitted(lambda: self._kv.undelete_secret_versions(path, list(versions), mount_point=KV))

    def names(self, path: str) -> list[str]:
        """The names below `path`, sorted; those of folders end with a slash."""
        try:
            answer = self._vault.permitted(lambda: self._kv.list_secrets(path, mount_point=KV))
        except InvalidPath:
            return []
        return sorted(answer["data"]["keys"])

    def metadata(self, path: str) -> Metadata | None:
        """What is known of `path`."""
        try:
            answer = self._vault.permitted(lambda: self._kv.read_secret_metadata(path, mount_point=KV))
        except InvalidPath:
            return None
        versions = sorted((int(number), about) for number, about in answer["data"]["versions"].items())
        return Metadata(
            int(answer["data"]["current_version"]),
            tuple(
                VersionInfo(
                    number, datetime.fromisoformat(about["created_time"]), _time(about["deletion_time"]), about["destroyed"]
                )
                for number, about in versions
            ),
            answer["data"].get("custom_metadata") or {},
        )

    def annotate(self, path: str, notes: Mapping[str, str], *, keep: int | None = None) -> None:
        """Put remarks in the place of those that `path` has."""
        self._vault.permitted(
            lambda: self._kv.update_metadata(path, max_versions=keep, custom_metadata=dict(notes), mount_point=KV)
        )


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

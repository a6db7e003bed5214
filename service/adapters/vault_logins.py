"""The database engine: logins of PostgreSQL's that end, each made for one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from hvac.exceptions import InternalServerError, InvalidPath, InvalidRequest

from service.adapters.logins import Login
from service.adapters.vault import Vault
from service.core.errors import VaultUnavailable
from service.core.settings import Secret

DATABASE = "database"  # where vault_setup.py mounts the engine
_CONNECTION = "jeex"
# A login is a member of the role that row security knows, and owns nothing. What belongs to that role in bootstrap.sql is
# not inherited, so its limits are set anew.
_CREATE = (
    "CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' VALID UNTIL '{{{{expiration}}}}' IN ROLE {role}",
    "ALTER ROLE \"{{{{name}}}}\" SET statement_timeout = '{timeout}s'",
    "ALTER ROLE \"{{{{name}}}}\" SET idle_in_transaction_session_timeout = '60s'",
)
# Whoever still works with it is cut off: a login that is revoked is one that nobody may have any longer.
_REVOKE = (
    'ALTER ROLE "{{name}}" NOLOGIN',
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = '{{name}}'",
    'DROP ROLE IF EXISTS "{{name}}"',
)
_REVOKED = 6.0  # seconds that it may take: Vault works in PostgreSQL before it answers, and a process that stops has ten


class VaultLogins:
    """Logins of a database, by the name of what they may do: `app`, `admin`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._engine = vault.client.secrets.database
        self._leases = vault.client.sys

    def configure(self, url: Secret, names: list[str]) -> None:
        """Say where PostgreSQL is, and as whom logins are made there. Raises VaultUnavailable, VAULT_DATABASE when Vault is
        not let in."""
        try:
            self._configure(url, names, password=unquote(urlsplit(url.reveal()).password or ""))
        except InvalidRequest as error:
            # Not chained: its text may hold the connection's.
            raise VaultUnavailable(
                "Vault cannot sign in to PostgreSQL",
                code="VAULT_DATABASE",
                hint="JEEX_DB_LOGINS_PASSWORD is not what PostgreSQL has: put it back",
            ) from (None if "password" in str(error) else error)

    def moved(self, url: Secret, names: list[str]) -> bool:
        """Say where PostgreSQL is now; the password stays the one that Vault has. False when that lets it in no longer."""
        try:
            self._configure(url, names)
        except InvalidRequest:
            return False
        return True

    def _configure(self, url: Secret, names: list[str], **password: str) -> None:
        parts = urlsplit(url.reveal())
        self._vault.permitted(
            lambda: self._engine.configure(
                _CONNECTION,
                plugin_name="postgresql-database-plugin",
                allowed_roles=names,
                connection_url="postgresql://{{username}}:{{password}}"
                f"@{parts.hostname}:{parts.port or 5432}{parts.path}?sslmode=disable",
                username=unquote(parts.username or ""),
                password_authentication="scram-sha-256",  # noqa: S106 - PostgreSQL is told a digest: no log has the password
                mount_point=DATABASE,
                **password,
            )
        )

    def is_configured(self) -> bool:
        """Whether Vault was ever told where PostgreSQL is."""
        try:
            self._vault.permitted(lambda: self._engine.read_connection(_CONNECTION, mount_point=DATABASE))
        except InvalidPath:
            return False
        return True

    def define(self, name: str, *, member_of: str, statement_timeout: int, holds: int) -> None:
        """What a login of that name is: the role it is a member of, seconds for a statement, seconds that it holds."""
        self._vault.permitted(
            lambda: self._engine.create_role(
                name,
                db_name=_CONNECTION,
                creation_statements=[one.format(role=member_of, timeout=statement_timeout) for one in _CREATE],
                revocation_statements=list(_REVOKE),
                default_ttl=f"{holds}s",
                max_ttl=f"{holds}s",
                mount_point=DATABASE,
            )
        )

    def issue(self, name: str) -> Login:
        """A new login. Raises VaultUnavailable, VAULT_DATABASE when Vault cannot make one."""
        try:
            answer = self._working(lambda: self._engine.generate_credentials(name, mount_point=DATABASE))
        except (InvalidPath, InvalidRequest) as error:
            raise VaultUnavailable(
                "Vault makes no logins of this database", code="VAULT_DATABASE", hint="run the seed process"
            ) from error
        data: Mapping[str, Any] = answer["data"]
        return Login(
            str(answer["lease_id"]), str(data["username"]), Secret(str(data["password"])), float(answer["lease_duration"])
        )

    def revoke(self, lease_id: str) -> None:
        """End a login; it is gone when this returns. Whoever is connected with it is cut off. Raises VaultUnavailable."""
        put = self._vault.client.adapter.put
        try:
            # Otherwise Vault puts it on a list for later, and what stops after its last user, as at `jeex down`, stops
            # before that.
            what = {"lease_id": lease_id, "sync": True}
            self._vault.permitted(lambda: put("/v1/sys/leases/revoke", json=what, timeout=_REVOKED))
        except InvalidRequest:  # it cannot work in PostgreSQL at the moment: it tries again by itself
            self._vault.permitted(lambda: self._leases.revoke_lease(lease_id))

    def leases(self, name: str) -> set[str]:
        """The ids of the leases that there are."""
        prefix = f"{DATABASE}/creds/{name}/"
        try:
            answer = self._vault.permitted(lambda: self._leases.list_leases(prefix))
        except InvalidPath:
            return set()
        return {prefix + key for key in answer["data"]["keys"]}

    def rotate_root(self) -> None:
        """Change the password that logins are made with. From then on nobody but Vault knows it. Raises VaultUnavailable."""
        self._working(lambda: self._engine.rotate_root_credentials(_CONNECTION, mount_point=DATABASE))

    def _working(self, request: Callable[[], Any]) -> Any:
        """What `request` answers, for which Vault has to work in PostgreSQL. It says 500 where it cannot."""
        try:
            return self._vault.permitted(request)
        except VaultUnavailable as error:
            if not isinstance(error.__cause__, InternalServerError):
                raise
        raise VaultUnavailable(  # not chained: its text may hold the connection's
            "Vault cannot work in PostgreSQL", code="VAULT_DATABASE", hint="jeex status; jeex logs vault"
        )

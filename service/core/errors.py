"""Every error of the platform's own, said without HTTP: the API maps them to problems, jeex to its errors.

ServiceError
|-- SettingsError          a setting is missing or wrong; the process does not start
|-- InvalidInput           a value breaks a rule; `field` names it
|-- Unauthenticated        no credential, or one that does not hold
|-- Forbidden              the credential holds, but does not allow this
|-- NotFound               there is no such thing, or not for this tenant
|-- Conflict               it contradicts what is there already
|-- PreconditionRequired   a change that does not say which version it is meant for
|-- PreconditionFailed     a change that was meant for another version than the present one
|-- TooManyRequests        more than is allowed in a while; `retry_after` says when to come back
|-- JobCancelled           a job was asked to stop, and does
|-- TenantNotBound         a mistake of ours: a query about a tenant's rows outside of that tenant's transaction
|-- FileRefused            a file is not whole, not of ours or not honest
|-- MigrationFailed        the schema could not be brought to the revision that was asked for
`-- Unavailable            something we depend on cannot be reached
    |-- DatabaseUnavailable    PostgreSQL
    |-- RedisUnavailable       Redis
    `-- VaultUnavailable       Vault

`code` is stable and meant for programs; `message` is one sentence for people and holds no secret. Errors of libraries
are translated once, in the adapter that calls the library.
"""

from __future__ import annotations

from collections.abc import Sequence


class ServiceError(Exception):
    """Something failed for a reason that has a name."""

    code = "FAILED"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint


class SettingsError(ServiceError):
    """A setting is missing or wrong. The message names the variables, never their values."""

    code = "CONFIG_INVALID"


class InvalidInput(ServiceError):
    """A value breaks a rule. `field` is its name in the interface."""

    code = "INVALID"

    def __init__(self, message: str, *, field: str, code: str | None = None, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field


class Unauthenticated(ServiceError):
    """No credential, or one that does not hold. Never says which part of it was wrong."""

    code = "UNAUTHENTICATED"


class Forbidden(ServiceError):
    """The credential holds, but does not allow this."""

    code = "FORBIDDEN"


class NotFound(ServiceError):
    """There is no such thing, or not for this tenant: the two look the same."""

    code = "NOT_FOUND"


class Conflict(ServiceError):
    """It contradicts what is there already. `field` is the one that does, where it is one."""

    code = "CONFLICT"

    def __init__(self, message: str, *, field: str = "", code: str | None = None, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.field = field


class PreconditionRequired(ServiceError):
    """A change that does not say which version it is meant for."""

    code = "PRECONDITION_REQUIRED"


class PreconditionFailed(ServiceError):
    """A change that was meant for another version than the present one: someone was faster."""

    code = "PRECONDITION_FAILED"


class TooManyRequests(ServiceError):
    """More than is allowed in a while. `retry_after` is in whole seconds, at least 1."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after: int, code: str | None = None, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after = retry_after


class JobCancelled(ServiceError):
    """A job was asked to stop, and does."""

    code = "JOB_CANCELLED"


class TenantNotBound(ServiceError):
    """A query about a tenant's rows outside of a transaction of that tenant. Always a mistake in the code."""

    code = "TENANT_NOT_BOUND"


class FileRefused(ServiceError):
    """A file that somebody wants to have read in is not whole, not of ours or not honest. Nothing of it was written."""

    code = "FILE_REFUSED"


class MigrationFailed(ServiceError):
    """The schema could not be brought to the revision that was asked for; it stands at the last one that worked.

    `revision` is the one that failed and `statement` what PostgreSQL refused, "" where it did not come to that; `kept`
    counts the statements of that revision that stay, for they stood outside of a transaction. `applied` are the revisions
    that were done before, `holders` says who had tables locked.
    """

    code = "MIGRATION_FAILED"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        revision: str = "",
        statement: str = "",
        kept: int = 0,
        applied: Sequence[str] = (),
        holders: Sequence[str] = (),
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.revision = revision
        self.statement = statement
        self.kept = kept
        self.applied = tuple(applied)
        self.holders = tuple(holders)


class Unavailable(ServiceError):
    """Something we depend on cannot be reached; the same request may succeed later."""

    code = "UNAVAILABLE"


class DatabaseUnavailable(Unavailable):
    """PostgreSQL cannot be reached, or has no connection to spare."""

    code = "DATABASE_UNAVAILABLE"


class RedisUnavailable(Unavailable):
    """Redis cannot be reached, or does not do what it is asked. No request fails for that: copies and speed are lost."""

    code = "REDIS_UNAVAILABLE"

    REFUSED = "REDIS_REFUSED"  # our password
    REFUSED_COMMAND = "REDIS_REFUSED_COMMAND"  # its memory is full, or it is a replica


class VaultUnavailable(Unavailable):
    """Vault cannot be reached, is sealed, or does not let us in. What these codes say, the others need not tell apart."""

    code = "VAULT_UNAVAILABLE"

    NOT_CONFIGURED = "VAULT_NOT_CONFIGURED"
    UNREACHABLE = "VAULT_UNREACHABLE"
    SEALED = "VAULT_SEALED"
    REFUSED = "VAULT_REFUSED"  # our way in is not (or no longer) known there
    HANDOVER_USED = "VAULT_HANDOVER_USED"  # our way in was used before, by us or by somebody else
    FORBIDDEN = "VAULT_FORBIDDEN"  # our token has ended, or may not do this
    KEY_REFUSED = "VAULT_KEY_REFUSED"  # a key's version that does not sign any more

"""Signing in with a password, for people; programs have API keys.

No connection is held while the password is hashed or the token signed: both take long, and connections are few.
"""

from __future__ import annotations

from service.adapters import credentials
from service.adapters.credentials import StoredUser
from service.adapters.database import Database
from service.core.errors import Unauthenticated
from service.services.authentication import Principal, check_tenant
from service.services.passwords import Passwords


async def by_password(
    database: Database, administration: Database, passwords: Passwords, *, tenant: str, email: str, password: str
) -> Principal:
    """The user of that tenant, address and password. Raises Unauthenticated, which never says what was wrong, Forbidden."""
    async with administration.direct() as driver:
        tenant_id = await credentials.tenant_id_of(driver, tenant)
    stored: StoredUser | None = None
    if tenant_id is not None:
        async with database.direct(tenant_id) as driver:
            stored = await credentials.user_by_email(driver, tenant_id, email)
    # Also without a user: it takes as long, so that nobody learns who has an account.
    right = await passwords.verify(stored.password_hash if stored else None, password)
    if tenant_id is None or stored is None or stored.password_hash is None or not right:
        raise Unauthenticated("the tenant, the address or the password is wrong")
    check_tenant(stored.tenant_status)
    if passwords.needs_rehash(stored.password_hash):
        better = await passwords.hash(password)
        async with database.direct(tenant_id) as driver:
            await credentials.set_password(driver, tenant_id, stored.user_id, better)
    return Principal(tenant_id, stored.tenant_slug, stored.user_id, stored.role)

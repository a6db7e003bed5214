"""The tables. Importing this package knows them all, which is what migrations and tests compare against."""

from service.models.base import Base
from service.models.tenant import ApiKey, Tenant, User

__all__ = ["ApiKey", "Base", "Tenant", "User"]

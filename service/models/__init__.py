"""The tables. Importing this package knows them all, which is what migrations and tests compare against.

`Base.metadata.create_all` makes the whole schema, with row security, grants and comments: security.py and comments.py.
"""

from service.models import comments, security
from service.models.base import Base, TenantMixin
from service.models.idempotency import IdempotentRequest
from service.models.job import Job, JobDue, JobResult
from service.models.project import Document, Project
from service.models.tenant import ApiKey, Tenant, User

__all__ = [
    "ApiKey",
    "Base",
    "Document",
    "IdempotentRequest",
    "Job",
    "JobDue",
    "JobResult",
    "Project",
    "Tenant",
    "TenantMixin",
    "User",
    "comments",
    "security",
]

"""Where the two meet: what is attacked, by whom, whose rows are meant, and who writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jeex_cli.ops.verify.canaries import Canary
from jeex_cli.ops.verify.evidence import Evidence
from jeex_cli.ops.verify.http import Api
from jeex_cli.session import Session

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True)
class Arena:
    """`document` is the OpenAPI document of the API that runs."""

    session: Session
    api: Api
    redis: Redis
    document: Mapping[str, Any]
    attacker: Canary
    victim: Canary
    evidence: Evidence

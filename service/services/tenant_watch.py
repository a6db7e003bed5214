"""A process of the API hears of tenants that change, and looks at once whether the tokens that it remembers still hold."""

from __future__ import annotations

from service.adapters import listening, tenant_news
from service.adapters.database import Database
from service.services.authentication import Recent


async def keep(ear: Database, recent: Recent) -> None:
    """For as long as the process runs. `ear` is for this alone: its one connection is held.

    Tenants change some times a day: everybody is forgotten, which costs each of their tokens one query.
    """

    def began() -> None:
        recent.forget()
        recent.hearing = True

    def ended() -> None:
        recent.hearing = False

    recent.hearing = False
    await listening.listen(ear, tenant_news.CHANNEL, lambda _: recent.forget(), began=began, ended=ended)

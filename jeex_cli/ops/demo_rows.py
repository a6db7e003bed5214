"""Demo data, made up: the same seed makes the same rows, and more of them begin with those that fewer would be.

Every row is a function of the seed, its tenant and its number, so what is there already can be recognised by its key.
"""

# ruff: noqa: SIM905 - words are read more easily than a list of them

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = (
    "annual archive audit backlog batch billing board branch budget cache capacity catalogue change client cluster column "
    "contract control cost customer daily data delivery deploy design draft engine estimate export feature field forecast "
    "gateway goal grid guide harvest import index invoice issue journal key launch ledger legal limit list margin market "
    "measure memo merge method metric migration model monthly network note offer order outline owner partner path payment "
    "plan policy price process product profile project quality quarter queue quote record region release report request "
    "review risk roadmap rollout route sample schedule schema scope search season security server service session sheet "
    "signal source sprint stage status stock storage strategy summary supply support survey table target team tender test "
    "theme ticket timeline topic trade training trend update usage value vendor version vision volume weekly workshop year"
).split()
_FIRST = (
    "ada alan amir anna ben chen dora emil eva finn grace hana ines ivan june kofi lena luis mara nils olga omar".split()
)
_LAST = "adler baker costa diaz evans fischer garcia haas ito jones kim lund meyer novak okafor patel rossi silva".split()
_TYPES = ("markdown",) * 5 + ("text",) * 3 + ("html", "json")
_STATUSES = ("published",) * 5 + ("draft",) * 4 + ("archived",)


@dataclass(frozen=True, slots=True)
class Size:
    """How much: tenants, and of each its users, projects and documents; `content` is about the bytes of a document."""

    tenants: int = 2
    users: int = 10
    projects: int = 5
    documents: int = 200
    content: int = 600


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant of a seed."""

    seed: int
    number: int
    size: Size

    @property
    def slug(self) -> str:
        """What people call it."""
        return f"demo-{self.seed}-{self.number}"

    @property
    def name(self) -> str:
        """The same in words."""
        return f"Demo {self.seed}, tenant {self.number}"

    @property
    def id(self) -> uuid.UUID:
        """Its key."""
        return self._id("tenant", 0)

    def users(self) -> Iterator[tuple[object, ...]]:
        """id, email, username, display name, role, when it was made."""
        for number in range(self.size.users):
            chance = self._random("user", number)
            first, last = chance.choice(_FIRST), chance.choice(_LAST)
            role = "owner" if number == 0 else chance.choices(("admin", "member", "viewer"), (1, 6, 3))[0]
            name = f"{first}.{last}.{number}"
            yield (
                self._id("user", number),
                f"{name}@{self.slug}.example",
                name,
                f"{first.title()} {last.title()}",
                role,
                self._when(number),
            )

    def projects(self) -> Iterator[tuple[object, ...]]:
        """id, slug, name, description, status, who made it, when."""
        for number in range(self.size.projects):
            chance = self._random("project", number)
            two = chance.sample(_WORDS, 2)
            yield (
                self._id("project", number),
                f"{two[0]}-{two[1]}-{number}",
                f"{two[0].title()} {two[1]} {number}",
                self._text(chance, 120),
                "archived" if chance.random() < 0.1 else "active",
                self._user(chance),
                self._when(number),
            )

    def documents(self) -> Iterator[tuple[object, ...]]:
        """id, project, path, title, type, status, content, who made it, when."""
        projects = [self._id("project", number) for number in range(self.size.projects)]
        for number in range(self.size.documents if projects else 0):
            chance = self._random("document", number)
            folder, name, more = chance.choice(_WORDS), chance.choice(_WORDS), chance.choice(_WORDS)
            yield (
                self._id("document", number),
                projects[
                    min(int(chance.expovariate(3) * len(projects)), len(projects) - 1)
                ],  # some have far more than others
                f"{folder}/{name}-{number}",
                f"{name.title()} {more} {number}",
                chance.choice(_TYPES),
                chance.choice(_STATUSES),
                self._text(chance, self.size.content),
                self._user(chance),
                self._when(number),
            )

    def _random(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{self.seed}/{self.number}/{kind}/{number}")  # noqa: S311 - no secret: the same again is wanted

    def _id(self, kind: str, number: int) -> uuid.UUID:
        """A UUID of version 7, as the database makes them: rows that follow each other lie together."""
        chance = self._random(f"{kind} id", number)
        milliseconds = int(self._when(number).timestamp() * 1000)
        return uuid.UUID(
            int=(milliseconds << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62))
        )

    def _user(self, chance: random.Random) -> uuid.UUID | None:
        if not self.size.users:
            return None
        number = chance.randrange(self.size.users)
        return self._id("user", number)

    @staticmethod
    def _when(number: int) -> datetime:
        return _BEGINNING + timedelta(seconds=number)

    @staticmethod
    def _text(chance: random.Random, size: int) -> str:
        words = chance.choices(_WORDS, k=max(1, size // 8))
        return " ".join(words).capitalize() + "."

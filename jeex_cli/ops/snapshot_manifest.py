"""What a snapshot says about itself: one JSON document, versioned, checked before anything in it is believed. Pure.

It carries a MAC under the key that opens Vault's storage. Only who has that key can restore the snapshot at all, so only
they can have made one that would be: a file that somebody else has made or changed is refused, checksums that fit and all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jeex_cli.errors import DataError

FORMAT = 1
FILES = ("jeex.dump", "jeex_vault.dump", "redis.commands")
MANIFEST = "manifest.json"
LIMIT = 4 * 1024 * 1024  # bytes of a manifest
# What has to be in `.env` for the Vault in a snapshot to open and to let `jeex up` in.
KEYS = ("JEEX_VAULT_SEAL_KEY", "JEEX_VAULT_SETUP_SECRET")
_TEXTS = ("id", "created", "jeex", "reason", "runtime", "project", "vault", "mac")
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """Bytes and SHA-256 of a file of the snapshot."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Redis: how many keys, of each type, and a checksum over those that do not end by themselves (`lasting`)."""

    keys: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    lasting: int = 0
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot. `created` is ISO 8601, UTC. `head` is the revision of its schema, None where it has none.

    `versions` are those of postgresql, redis and vault ("" where it did not answer), `vault` is openbao or vault; `rows` is
    by `database: schema.table`. `opens_with` are fingerprints of the secrets that it needs, by their name in `.env`.
    """

    id: str
    created: str
    jeex: str
    reason: str
    automatic: bool
    runtime: str
    project: str
    head: str | None
    vault: str
    versions: Mapping[str, str]
    files: Mapping[str, File]
    rows: Mapping[str, int]
    redis: Keys
    opens_with: Mapping[str, str]
    mac: str = ""
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(one.size for one in self.files.values())

    @property
    def total_rows(self) -> int:
        """In all tables; a sequence is not one."""
        return sum(self.rows.values())

    def text(self) -> str:
        """As it is written."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    def sealed(self, key: str) -> Manifest:
        """With its MAC."""
        return replace(self, mac=self._mac(key))

    def is_authentic(self, key: str) -> bool:
        """Whether it was made by somebody with that key, and not changed since."""
        return hmac.compare_digest(self._mac(key), self.mac)

    def _mac(self, key: str) -> str:
        # `automatic` is this project's own business: an import is kept for good.
        said = {name: value for name, value in asdict(self).items() if name not in ("mac", "automatic")}
        text = json.dumps(said, sort_keys=True).encode()
        return hmac.new(b"jeex snapshot\0" + key.encode(), text, hashlib.sha256).hexdigest()


def is_id(text: str) -> bool:
    """Whether that can be the name of a snapshot. It becomes the name of a folder."""
    return _ID.fullmatch(text) is not None


def fingerprint(secret: str, key: str) -> str:
    """Tells two secrets apart. Who has not `key` cannot even find out whether a guess is right."""
    return hmac.new(b"jeex snapshot opens with\0" + key.encode(), secret.encode(), hashlib.sha256).hexdigest()[:16]


def parse(content: bytes, source: str) -> Manifest:
    """The manifest that `content` is. Raises DataError naming `source` and what is wrong."""
    if len(content) > LIMIT:
        raise invalid(source, f"it is longer than {LIMIT:,} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise invalid(source, "it is no JSON") from error
    if not isinstance(document, dict):
        raise invalid(source, "it is no object")
    if document.get("format") != FORMAT:
        raise DataError(
            f"{source} has the format {document.get('format')!r}; this jeex reads {FORMAT}",
            code="SNAPSHOT_FORMAT",
            detail=f"It was written by jeex {document.get('jeex', 'of an unknown version')}. Nothing was changed.",
            hint="use the jeex that wrote it, or a newer one",
        )
    try:
        return _read(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid(source, f"{type(error).__name__}: {error}") from error


def invalid(source: str, why: str) -> DataError:
    """The error for a snapshot that is not what jeex has written."""
    return DataError(
        f"{source} is not a snapshot of jeex's: {why}",
        code="SNAPSHOT_INVALID",
        detail="Nothing was changed.",
        hint="jeex snapshot list",
    )


def _read(document: Mapping[str, Any]) -> Manifest:
    files = {name: File(_count(one["size"]), _text(one["sha256"])) for name, one in document["files"].items()}
    redis = document["redis"]
    given = {name: _text(document[name]) for name in _TEXTS}
    found = Manifest(
        id=given["id"],
        created=given["created"],
        jeex=given["jeex"],
        reason=given["reason"],
        runtime=given["runtime"],
        project=given["project"],
        vault=given["vault"],
        mac=given["mac"],
        automatic=document["automatic"] is True,
        head=None if document["head"] is None else _text(document["head"]),
        versions=_map(document["versions"], _text),
        files=files,
        rows=_map(document["rows"], _count),
        redis=Keys(_count(redis["keys"]), _map(redis["types"], _count), _count(redis["lasting"]), _text(redis["checksum"])),
        opens_with=_map(document["opens_with"], _text),
    )
    if not is_id(found.id):
        raise ValueError(f"its id is {found.id!r}")
    if set(files) != set(FILES):
        raise ValueError(f"it names the files {sorted(files)}")
    if wrong := [name for name, one in files.items() if not _SHA.fullmatch(one.sha256)]:
        raise ValueError(f"the checksum of {wrong[0]}")
    if not set(KEYS) <= set(found.opens_with):
        raise ValueError("what opens it")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {value!r}"[:120])
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"a number was expected, not {value!r}"[:120])
    return value


def _map(value: Any, of: Any) -> dict[str, Any]:
    return {_text(name): of(one) for name, one in value.items()}

"""An export under a passphrase: scrypt makes the key, AES-256-GCM seals the file in chunks.

    JEEXSEAL1 | salt, 16 bytes | nonce, 7 bytes | chunks

Each chunk has its number and whether it is the last in its nonce, so that none can be left out, moved or added (the STREAM
construction). What scrypt costs is fixed with the version: a file cannot ask for more memory than we give.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from service.core.errors import FileRefused
from service.core.settings import Secret

MAGIC = b"JEEXSEAL1"
_SALT, _NONCE, _TAG = 16, 7, 16
_CHUNK = 64 * 1024
_COST = 2**16  # 64 MiB


class Sealing(io.RawIOBase):
    """Seals what is written to it into `target`. Whole only when it was closed by `finish`."""

    def __init__(self, target: BinaryIO, passphrase: Secret) -> None:
        salt, self._nonce = os.urandom(_SALT), os.urandom(_NONCE)
        self._cipher = _cipher(passphrase, salt)
        self._target = target
        self._held = bytearray()
        self._number = 0
        target.write(MAGIC + salt + self._nonce)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Takes all of it."""
        content = memoryview(data).cast("B")  # type: ignore[arg-type]
        self._held += content
        while len(self._held) > _CHUNK:  # never the last: of that it is not known yet whether it is
            self._seal(bytes(self._held[:_CHUNK]), last=False)
            del self._held[:_CHUNK]
        return len(content)

    def finish(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _seal(self, content: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._nonce, self._number, last=last), content, None))
        self._number += 1


class Unsealing(io.RawIOBase):
    """What was sealed. Reading raises FileRefused where it is not what was written, or not all of it."""

    def __init__(self, source: BinaryIO, passphrase: Secret) -> None:
        head = source.read(len(MAGIC) + _SALT + _NONCE)
        if len(head) != len(MAGIC) + _SALT + _NONCE:
            raise FileRefused("the file ends before its first chunk", code="FILE_TRUNCATED")
        self._nonce = head[-_NONCE:]
        self._cipher = _cipher(passphrase, head[len(MAGIC) : -_NONCE])
        self._source = source
        self._next = source.read(_CHUNK + _TAG)
        self._number = 0
        self._plain = b""
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fills the buffer as far as one chunk goes; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while not self._plain and not self._ended:
            self._open_next()
        size = min(len(view), len(self._plain))
        view[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def _open_next(self) -> None:
        sealed, self._next = self._next, self._source.read(_CHUNK + _TAG)
        last = not self._next
        try:
            self._plain = self._cipher.decrypt(_nonce(self._nonce, self._number, last=last), sealed, None)
        except InvalidTag as error:
            if self._number == 0 and not last:
                reason = "the passphrase is not the one that it was made with, or the file was changed"
            else:
                reason = "the passphrase is wrong, or the file was changed or cut off"
            raise FileRefused(
                reason, code="FILE_SEAL", hint="check the passphrase; else have the file sent again"
            ) from error
        self._number += 1
        self._ended = last


def _cipher(passphrase: Secret, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase.reveal().encode()))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + (b"\1" if last else b"\0")

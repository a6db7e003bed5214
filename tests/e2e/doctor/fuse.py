"""A file system of our own, real to everybody: mounted from /dev/fuse under any name, and ignoring case if it is told to.

It has one folder, `.jeex`, with nothing in it. Structures are those of include/uapi/linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_ANSWER = (2, 36, 42)  # FORGET, INTERRUPT, BATCH_FORGET
_DETACH = 2  # of umount2(2)
_ROOT, _FOLDER = 1, 2


@contextmanager
def mounted(at: Path, kind: str, *, ignores_case: bool = False) -> Iterator[None]:
    """Have that file system at `at`, of type `fuse.<kind>`. For root."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if libc.mount(kind.encode(), os.fsencode(at), f"fuse.{kind}".encode(), 0, options.encode()):
        os.close(descriptor)
        raise OSError(ctypes.get_errno(), f"cannot mount: {os.strerror(ctypes.get_errno())}")
    server = threading.Thread(target=_serve, args=(descriptor, ignores_case), daemon=True)
    server.start()
    try:
        yield
    finally:
        libc.umount2(os.fsencode(at), _DETACH)
        server.join(5)
        os.close(descriptor)


def _serve(descriptor: int, ignores_case: bool) -> None:
    while True:
        try:
            request = os.read(descriptor, 1 << 17)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            return  # ENODEV: it was unmounted
        _, operation, unique, node, *_ = struct.unpack("<IIQQIIII", request[:40])
        if operation in _NO_ANSWER:
            continue
        answer = _answer(operation, node, request[40:], ignores_case)
        body, failed = (answer, 0) if isinstance(answer, bytes) else (b"", answer)
        os.write(descriptor, struct.pack("<IiQ", 16 + len(body), -failed, unique) + body)


def _answer(operation: int, node: int, body: bytes, ignores_case: bool) -> bytes | int:  # noqa: PLR0911 - a table
    match operation:
        case 26:  # INIT
            major, minor, ahead, _ = struct.unpack("<IIII", body[:16])
            return struct.pack("<IIIIHHIIHH8I", major, min(minor, 31), ahead, 0, 4, 4, 1 << 16, 1, 0, 0, *[0] * 8)
        case 3:  # GETATTR
            return struct.pack("<QII", 0, 0, 0) + _attributes(node)
        case 1:  # LOOKUP
            name = body.rstrip(b"\0").decode()
            if node != _ROOT or (name.lower() if ignores_case else name) != ".jeex":
                return errno.ENOENT
            return struct.pack("<QQQQII", _FOLDER, 0, 0, 0, 0, 0) + _attributes(_FOLDER)
        case 17:  # STATFS
            return struct.pack("<5Q4I6I", *[1 << 20] * 5, 4096, 255, 4096, 0, *[0] * 6)
        case 27:  # OPENDIR
            return struct.pack("<QII", 0, 0, 0)
        case 28 | 29 | 34 | 38:  # READDIR, RELEASEDIR, ACCESS, DESTROY
            return b""
        case _:
            return errno.ENOSYS


def _attributes(node: int) -> bytes:
    now = int(time.time())
    mode = stat.S_IFDIR | (0o700 if node == _FOLDER else 0o755)
    return struct.pack("<6Q10I", node, 4096, 8, now, now, now, 0, 0, 0, mode, 2, 0, 0, 0, 4096, 0)

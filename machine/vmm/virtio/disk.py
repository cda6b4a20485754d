# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands behind a block device: a raw image file, or one under an overlay that lives in memory."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Final, Protocol

from bridge.errors import UserError

SECTOR: Final = 512
CLUSTER: Final = 4096
"""Bytes that an overlay keeps together."""

OVERLAY_LIMIT: Final = 1 << 30
"""Bytes that an overlay holds at the most: a guest that writes all over a disk must not fill the host's memory."""

_ZEROES: Final = bytes(1 << 16)


class Disk(Protocol):
    """at, size: bytes, whole sectors, within the disk.  OSError where the host cannot do it."""

    size: int
    writable: bool

    def read(self, at: int, size: int) -> bytes: ...

    def write(self, at: int, data: bytes) -> None: ...

    def zero(self, at: int, size: int) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class RawFile:
    """An image file as it is.  It is written only when `writable` is asked for.

    UserError: no such file, no regular file, not whole sectors, or in use by another process.
    """

    def __init__(self, path: str, *, writable: bool = False) -> None:
        self.writable = writable
        self.size = self._open(path)

    def reopen(self, path: str) -> None:
        """The same file again, in another process; UserError where it has another size."""
        if self._open(path) != self.size:
            raise UserError(f"disk {path}: another size than when the snapshot was taken")

    def _open(self, path: str) -> int:
        """Its size in bytes."""
        flags = os.O_CLOEXEC | os.O_NONBLOCK | (os.O_RDWR if self.writable else os.O_RDONLY)
        try:
            self._fd = os.open(path, flags)
        except (OSError, ValueError) as error:
            raise UserError(f"disk {path}: {getattr(error, 'strerror', None) or error}") from None
        try:
            return self._check(path)
        except BaseException:
            os.close(self._fd)
            raise

    def _check(self, path: str) -> int:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"disk {path}: not a regular file")
        if not status.st_size or status.st_size % SECTOR:
            raise UserError(f"disk {path}: {status.st_size} bytes are not whole sectors of {SECTOR} (truncate -s?)")
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_EX if self.writable else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"disk {path}: in use by another process") from None
        return status.st_size

    def read(self, at: int, size: int) -> bytes:
        data = os.pread(self._fd, size, at)
        # Somebody may cut the file while the machine runs.
        return data if len(data) == size else data + bytes(size - len(data))

    def write(self, at: int, data: bytes) -> None:
        while data:
            done = os.pwrite(self._fd, data, at)
            at += done
            data = data[done:]

    def zero(self, at: int, size: int) -> None:
        while size:
            part = _ZEROES[:size]
            self.write(at, part)
            at += len(part)
            size -= len(part)

    def flush(self) -> None:
        if self.writable:
            os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Overlay:
    """Copy on write: what the guest writes stays in memory and ends with the machine."""

    writable = True

    def __init__(self, base: Disk, limit: int = OVERLAY_LIMIT) -> None:
        self._base = base
        self.size = base.size
        self._most = limit // CLUSTER
        self._clusters: dict[int, bytearray] = {}

    def read(self, at: int, size: int) -> bytes:
        clusters = self._clusters
        first, last = at // CLUSTER, (at + size - 1) // CLUSTER
        touched = [index for index in range(first, last + 1) if index in clusters] if clusters else []
        if not touched:
            return self._base.read(at, size)
        data = bytearray(self._base.read(at, size))
        for index in touched:
            start = index * CLUSTER
            low, high = max(at, start), min(at + size, start + CLUSTER)
            data[low - at : high - at] = clusters[index][low - start : high - start]
        return bytes(data)

    def write(self, at: int, data: bytes) -> None:
        position = 0
        while position < len(data):
            index, offset = divmod(at + position, CLUSTER)
            part = data[position : position + CLUSTER - offset]
            self._cluster(index, whole=len(part) == CLUSTER)[offset : offset + len(part)] = part
            position += len(part)

    def _cluster(self, index: int, *, whole: bool) -> bytearray:
        cluster = self._clusters.get(index)
        if cluster is None:
            if len(self._clusters) >= self._most:
                raise OSError(28, f"the overlay holds {self._most * CLUSTER >> 20} MiB, its limit")
            start = index * CLUSTER
            kept = min(CLUSTER, self.size - start)
            content = b"" if whole else self._base.read(start, kept)
            cluster = self._clusters[index] = bytearray(content.ljust(CLUSTER, b"\0"))
        return cluster

    def zero(self, at: int, size: int) -> None:
        while size:
            part = _ZEROES[:size]
            self.write(at, part)
            at += len(part)
            size -= len(part)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._base.close()

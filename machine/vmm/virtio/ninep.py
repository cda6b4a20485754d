# SPDX-License-Identifier: GPL-2.0-or-later
"""9P transport device (id 9 of VIRTIO 1.2 §5): a host folder by 9P2000.L, for `mount -t 9p`.

Messages are those of Linux's include/net/9p/9p.h.  What of the host varies from run to run stays hidden: inode
numbers are given in the order in which files are first seen, free space is a fixed figure, atime is mtime.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from typing import Final

from .folder import Folder, Path, name_of, refuse
from .queue import Chain, Queue, QueueError
from .transport import VirtioDevice

F_MOUNT_TAG: Final = 1 << 0

VERSION: Final = b"9P2000.L"
MAX_MSIZE: Final = 1 << 19
MIN_MSIZE: Final = 4096
MAX_FIDS: Final = 1 << 14
MAX_OPEN: Final = 256
MAX_WALK: Final = 16

RLERROR: Final = 7
_HEADER: Final = struct.Struct("<IBH")
_QID: Final = struct.Struct("<BIQ")
_ATTRIBUTES: Final = struct.Struct("<Q13sIIIQQQQQQQQQQQQQQQ")
_STATFS: Final = struct.Struct("<IIQQQQQQI")
_BASIC: Final = 0x7FF  # P9_STATS_BASIC
_HEAD: Final = 11
"""Bytes of a reply before the payload of Rread and Rreaddir."""

# P9_ATTR_* of Tsetattr
_MODE, _UID, _GID, _SIZE, _ATIME, _MTIME, _CTIME, _ATIME_SET, _MTIME_SET = (1 << bit for bit in range(9))
# P9_DOTL_* flags are Linux's generic ones.
_ACCESS: Final = 3
_EXCL: Final = 0o200
_TRUNC: Final = 0o1000
_REMOVEDIR: Final = 0x200
_LAST: Final = (1 << 63) - 1
_F_UNLCK: Final = 2


class Malformed(Exception):
    """A message that ends too early."""


class Message:
    """A request's fields, one after the other."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = _HEADER.size

    def take(self, size: int) -> bytes:
        at = self._at
        self._at = end = at + size
        if end > len(self._data):
            raise Malformed
        return self._data[at:end]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self) -> bytes:
        return self.take(self.number(2))

    def position(self) -> int:
        """An offset or size of a file."""
        value = self.number(8)
        if value > _LAST:
            raise refuse(errno.EINVAL)
        return value


class Fid:
    """A file as the client knows it.  fd: of the host, once it is open, else -1."""

    __slots__ = ("entries", "fd", "path", "writable")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1
        self.writable = False
        self.entries: list[bytes] | None = None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "little") + data


class NineP(VirtioDevice):
    """tag: what the guest mounts it by.  The device owns the folder."""

    name = "9p"
    id = 9
    features = F_MOUNT_TAG
    queues = (128,)

    def __init__(self, folder: Folder, tag: str) -> None:
        self._folder = folder
        self._tag = tag.encode()
        if not 0 < len(self._tag) < 256:
            raise ValueError(f"tag {tag!r}")
        self._owner = os.geteuid(), os.getegid()
        self._inodes: dict[tuple[int, int], int] = {}
        self._next_inode = 1
        self._fids: dict[int, Fid] = {}
        self._open = 0
        self._msize = MIN_MSIZE
        self._handlers: dict[int, Callable[[Message, int], bytes]] = {
            8: self._statfs,
            12: self._lopen,
            14: self._lcreate,
            16: self._symlink,
            20: self._rename,
            22: self._readlink,
            24: self._getattr,
            26: self._setattr,
            40: self._readdir,
            50: self._fsync,
            52: self._lock,
            54: self._getlock,
            70: self._link,
            72: self._mkdir,
            74: self._renameat,
            76: self._unlinkat,
            100: self._version,
            104: self._attach,
            108: self._flush,
            110: self._walk,
            116: self._read,
            118: self._write,
            120: self._clunk,
            122: self._remove,
        }

    def config(self) -> bytes:
        return _text(self._tag)

    def reset(self) -> None:
        for fid in self._fids.values():
            fid.close()
        self._fids.clear()
        self._open = 0
        self._msize = MIN_MSIZE

    def close(self) -> None:
        self.reset()
        self._folder.close()

    def serve(self, index: int, queue: Queue) -> None:
        for chain in queue:
            queue.give(chain, self._request(chain))
        queue.want(True)

    def _request(self, chain: Chain) -> int:
        data = chain.read(MAX_MSIZE)
        room = min(chain.room, self._msize)
        if len(data) < _HEADER.size or room < _HEAD:
            raise QueueError(f"a 9P message of {len(data)} bytes with room for {room}")
        _, kind, tag = _HEADER.unpack_from(data)
        handler = self._handlers.get(kind)
        try:
            if handler is None:
                raise refuse(errno.EOPNOTSUPP)
            body = handler(Message(data), room - _HEAD)
            if len(body) > room - _HEADER.size:
                raise refuse(errno.EMSGSIZE)
            kind += 1
        except OSError as error:
            kind, body = RLERROR, (error.errno or errno.EIO).to_bytes(4, "little")
        except Malformed:
            kind, body = RLERROR, errno.EPROTO.to_bytes(4, "little")
        reply = _HEADER.pack(_HEADER.size + len(body), kind, tag) + body
        chain.write(reply)
        return len(reply)

    # Fids and what the guest sees of a file

    def _fid(self, message: Message) -> Fid:
        fid = self._fids.get(message.number(4))
        if fid is None:
            raise refuse(errno.EBADF)
        return fid

    def _add(self, number: int, path: Path) -> None:
        if len(self._fids) >= MAX_FIDS:
            raise refuse(errno.ENFILE)
        self._fids[number] = Fid(path)

    def _drop(self, number: int) -> Fid:
        fid = self._fids.pop(number, None)
        if fid is None:
            raise refuse(errno.EBADF)
        self._open -= fid.fd >= 0
        fid.close()
        return fid

    def _opened(self, fid: Fid, make: Callable[[], int], writable: bool) -> None:
        if fid.fd >= 0:
            raise refuse(errno.EBADF)
        if self._open >= MAX_OPEN:
            raise refuse(errno.EMFILE)
        fid.fd = make()
        fid.writable = writable
        self._open += 1

    def _stat(self, fid: Fid) -> os.stat_result:
        return os.fstat(fid.fd) if fid.fd >= 0 else self._folder.stat(fid.path)

    def _qid(self, status: os.stat_result) -> bytes:
        key = status.st_dev, status.st_ino
        inode = self._inodes.get(key)
        if inode is None:
            inode = self._inodes[key] = self._next_inode
            self._next_inode += 1
        kind = 0x80 if stat.S_ISDIR(status.st_mode) else 0x02 if stat.S_ISLNK(status.st_mode) else 0
        return _QID.pack(kind, (status.st_mtime_ns ^ status.st_size << 8) & 0xFFFF_FFFF, inode)

    def _forget(self, status: os.stat_result) -> None:
        """A file is gone: a guest that makes and removes files for ever must not fill the host's memory."""
        if stat.S_ISDIR(status.st_mode) or status.st_nlink <= 1:
            self._inodes.pop((status.st_dev, status.st_ino), None)

    # Requests, by their numbers

    def _version(self, message: Message, room: int) -> bytes:
        msize, version = message.number(4), message.text()
        if msize < MIN_MSIZE:
            raise refuse(errno.EMSGSIZE)
        self.reset()
        self._msize = min(msize, MAX_MSIZE)
        return self._msize.to_bytes(4, "little") + _text(VERSION if version == VERSION else b"unknown")

    def _attach(self, message: Message, room: int) -> bytes:
        number = message.number(4)
        if number in self._fids:
            raise refuse(errno.EBADF)
        self._add(number, ())
        return self._qid(self._folder.stat(()))

    def _flush(self, message: Message, room: int) -> bytes:
        return b""  # every request has its answer before the next one is read

    def _walk(self, message: Message, room: int) -> bytes:
        number = message.number(4)
        fid = self._fids.get(number)
        new, count = message.number(4), message.number(2)
        if fid is None or (new != number and new in self._fids):
            raise refuse(errno.EBADF)
        if count > MAX_WALK:
            raise refuse(errno.EINVAL)
        names = [message.text() for _ in range(count)]
        found = self._folder.walk(fid.path, names)
        if len(found) == count:
            path = (*fid.path, *names)
            if new == number:
                if fid.fd >= 0:
                    raise refuse(errno.EBADF)
                fid.path = path
            else:
                self._add(new, path)
        return len(found).to_bytes(2, "little") + b"".join([self._qid(status) for status in found])

    def _clunk(self, message: Message, room: int) -> bytes:
        self._drop(message.number(4))
        return b""

    def _remove(self, message: Message, room: int) -> bytes:
        fid = self._drop(message.number(4))  # even when it cannot be removed
        status = self._folder.stat(fid.path)
        self._folder.unlink(fid.path, directory=stat.S_ISDIR(status.st_mode))
        self._forget(status)
        return b""

    def _lopen(self, message: Message, room: int) -> bytes:
        fid, flags = self._fid(message), message.number(4)
        access = flags & _ACCESS
        if access == _ACCESS:
            raise refuse(errno.EINVAL)
        self._opened(fid, lambda: self._folder.open(fid.path, access, bool(flags & _TRUNC)), access != 0)
        return self._qid(os.fstat(fid.fd)) + bytes(4)

    def _lcreate(self, message: Message, room: int) -> bytes:
        fid, name = self._fid(message), message.text()
        flags, mode, _ = message.number(4), message.number(4), message.number(4)
        access = flags & _ACCESS
        if access == _ACCESS:
            raise refuse(errno.EINVAL)
        self._opened(
            fid,
            lambda: self._folder.create(fid.path, name, access, mode, bool(flags & _EXCL), bool(flags & _TRUNC)),
            access != 0,
        )
        fid.path = (*fid.path, name)
        return self._qid(os.fstat(fid.fd)) + bytes(4)

    def _read(self, message: Message, room: int) -> bytes:
        fid, at, count = self._fid(message), message.position(), message.number(4)
        if fid.fd < 0:
            raise refuse(errno.EBADF)
        data = os.pread(fid.fd, min(count, room), at)
        return len(data).to_bytes(4, "little") + data

    def _write(self, message: Message, room: int) -> bytes:
        fid, at, count = self._fid(message), message.position(), message.number(4)
        data = message.take(count)
        if fid.fd < 0 or not fid.writable:
            raise refuse(errno.EBADF)
        return os.pwrite(fid.fd, data, at).to_bytes(4, "little")

    def _fsync(self, message: Message, room: int) -> bytes:
        fid = self._fid(message)
        if fid.fd < 0:
            raise refuse(errno.EBADF)
        os.fsync(fid.fd)
        return b""

    def _readdir(self, message: Message, room: int) -> bytes:
        fid, at, count = self._fid(message), message.position(), message.number(4)
        if fid.fd < 0:
            raise refuse(errno.EBADF)
        if at == 0 or fid.entries is None:
            fid.entries = [b".", b"..", *self._folder.names(fid.fd)]
        left = min(count, room)
        parts: list[bytes] = []
        for index in range(at, len(fid.entries)):
            name = fid.entries[index]
            size = _QID.size + 8 + 1 + 2 + len(name)
            if size > left:
                if not parts:
                    raise refuse(errno.EINVAL)
                break
            try:
                status = self._entry(fid, name)
            except FileNotFoundError:
                continue
            parts.append(self._qid(status) + struct.pack("<QB", index + 1, status.st_mode >> 12) + _text(name))
            left -= size
        data = b"".join(parts)
        return len(data).to_bytes(4, "little") + data

    def _entry(self, fid: Fid, name: bytes) -> os.stat_result:
        if name == b"..":
            return self._folder.stat(fid.path[:-1])
        if name == b".":
            return os.fstat(fid.fd)
        return os.stat(name, dir_fd=fid.fd, follow_symlinks=False)

    def _getattr(self, message: Message, room: int) -> bytes:
        status = self._stat(self._fid(message))
        directory = stat.S_ISDIR(status.st_mode)
        size = 4096 if directory else status.st_size
        seconds, ns = divmod(status.st_mtime_ns, 1_000_000_000)
        uid, gid = self._owner
        return _ATTRIBUTES.pack(
            _BASIC,
            self._qid(status),
            status.st_mode,
            0 if status.st_uid == uid else status.st_uid,
            0 if status.st_gid == gid else status.st_gid,
            2 if directory else status.st_nlink,
            0,
            size,
            4096,
            -(-size // 512),
            *(seconds & (1 << 64) - 1, ns) * 3,
            0,
            0,
            0,
            0,
        )

    def _setattr(self, message: Message, room: int) -> bytes:
        fid = self._fid(message)
        valid, mode, uid, gid = (message.number(4) for _ in range(4))
        size = message.number(8)
        given = [(message.number(8), message.number(8)) for _ in range(2)]
        status = self._stat(fid)
        shown = [0 if own == has else has for own, has in zip(self._owner, (status.st_uid, status.st_gid), strict=True)]
        if valid & _SIZE and size > _LAST:
            raise refuse(errno.EINVAL)
        if (valid & _UID and uid != shown[0]) or (valid & _GID and gid != shown[1]):
            raise refuse(errno.EPERM)  # files stay the host user's
        times = None
        if valid & (_ATIME | _MTIME):
            times = (
                self._time(valid, _ATIME, _ATIME_SET, given[0], status.st_atime_ns),
                self._time(valid, _MTIME, _MTIME_SET, given[1], status.st_mtime_ns),
            )
        wanted_mode = mode if valid & _MODE else None
        wanted_size = size if valid & _SIZE else None
        if fid.fd >= 0:
            self._folder.set_attributes(fid.fd, mode=wanted_mode, size=wanted_size, times=times)
        else:
            with self._folder.handle(fid.path) as fd:
                self._folder.set_attributes(fd, mode=wanted_mode, size=wanted_size, times=times)
        return b""

    @staticmethod
    def _time(valid: int, bit: int, explicit: int, given: tuple[int, int], now: int) -> int:
        if not valid & bit:
            return now
        if not valid & explicit:
            return time.time_ns()  # the host's files have the host's time, as any write gives it to them
        seconds, ns = given
        if seconds >= 1 << 33 or ns >= 1_000_000_000:
            raise refuse(errno.EINVAL)
        return seconds * 1_000_000_000 + ns

    def _statfs(self, message: Message, room: int) -> bytes:
        self._fid(message)
        blocks = 1 << 24
        return _STATFS.pack(0x0102_1997, 4096, blocks, blocks // 2, blocks // 2, 1 << 20, 1 << 19, 0, 255)

    def _mkdir(self, message: Message, room: int) -> bytes:
        fid, name, mode = self._fid(message), message.text(), message.number(4)
        self._folder.mkdir(fid.path, name, mode)
        return self._qid(self._folder.stat((*fid.path, name)))

    def _symlink(self, message: Message, room: int) -> bytes:
        fid, name, target = self._fid(message), message.text(), message.text()
        self._folder.symlink(fid.path, name, target)
        return self._qid(self._folder.stat((*fid.path, name)))

    def _readlink(self, message: Message, room: int) -> bytes:
        return _text(self._folder.readlink(self._fid(message).path))

    def _link(self, message: Message, room: int) -> bytes:
        directory, old, name = self._fid(message), self._fid(message), message.text()
        self._folder.link(old.path, directory.path, name)
        return b""

    def _rename(self, message: Message, room: int) -> bytes:
        fid, directory, name = self._fid(message), self._fid(message), message.text()
        self._move(fid.path, directory.path, name)
        return b""

    def _renameat(self, message: Message, room: int) -> bytes:
        directory, old = self._fid(message), name_of(message.text())
        target, name = self._fid(message), message.text()
        self._move((*directory.path, old), target.path, name)
        return b""

    def _move(self, old: Path, path: Path, name: bytes) -> None:
        self._folder.rename(old, path, name)
        size = len(old)
        for fid in self._fids.values():
            if fid.path[:size] == old:
                fid.path = (*path, name, *fid.path[size:])

    def _unlinkat(self, message: Message, room: int) -> bytes:
        path = (*self._fid(message).path, name_of(message.text()))
        directory = bool(message.number(4) & _REMOVEDIR)
        status = self._folder.stat(path)
        self._folder.unlink(path, directory=directory)
        self._forget(status)
        return b""

    def _lock(self, message: Message, room: int) -> bytes:
        self._fid(message)
        return b"\0"  # P9_LOCK_SUCCESS: there is one client, and its kernel arbitrates

    def _getlock(self, message: Message, room: int) -> bytes:
        self._fid(message)
        message.number(1)
        rest = message.take(20)
        return bytes((_F_UNLCK,)) + rest + _text(message.text())

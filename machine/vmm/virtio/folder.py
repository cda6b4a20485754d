# SPDX-License-Identifier: GPL-2.0-or-later
"""A host folder that a guest shares, and nothing outside it.

A path is a tuple of names below the folder.  Each name is opened from the directory before it, never following a
symbolic link, so that no name and no link, whoever made it and whenever, leads out.  OSError carries the errno that
the guest sees (Linux on both sides).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bridge.errors import UserError

Path = tuple[bytes, ...]

MAX_DEPTH: Final = 128
_STEP: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: whatever the host puts there, opening it does not wait.
_OPEN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PERMISSIONS: Final = 0o777


def refuse(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def name_of(name: bytes) -> bytes:
    """A name that a guest gave; OSError unless it is one component of a path."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise refuse(errno.EINVAL)
    if len(name) > 255:
        raise refuse(errno.ENAMETOOLONG)
    return name


class Folder:
    """path: of the host's folder.  writable: the guest may change what is in it."""

    def __init__(self, path: str, *, writable: bool = False) -> None:
        self.writable = writable
        try:
            self._root = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise UserError(f"shared folder {path}: {getattr(error, 'strerror', None) or error}") from None

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _changing(self) -> None:
        if not self.writable:
            raise refuse(errno.EROFS)

    @contextmanager
    def _directory(self, path: Path) -> Iterator[int]:
        """A descriptor (O_PATH) of a directory, for the time being."""
        if len(path) > MAX_DEPTH:
            raise refuse(errno.ENAMETOOLONG)
        fd = os.dup(self._root)
        try:
            for name in path:
                below = os.open(name, _STEP, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def stat(self, path: Path) -> os.stat_result:
        if not path:
            return os.fstat(self._root)
        with self._directory(path[:-1]) as fd:
            return os.stat(path[-1], dir_fd=fd, follow_symlinks=False)

    def walk(self, path: Path, names: list[bytes]) -> list[os.stat_result]:
        """What each name leads to, one from the other; it ends early where a later one leads nowhere."""
        found: list[os.stat_result] = []
        for name in names:
            try:
                path = (*path, name_of(name))
                found.append(self.stat(path))
            except OSError:
                if not found:
                    raise
                break
        return found

    def open(self, path: Path, access: int, truncate: bool = False) -> int:
        """A descriptor of a regular file or a directory.  access: O_RDONLY, O_WRONLY or O_RDWR."""
        if access != os.O_RDONLY or truncate:
            self._changing()
        if not path:
            if access != os.O_RDONLY:
                raise refuse(errno.EISDIR)
            return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        with self._directory(path[:-1]) as fd:
            mode = os.stat(path[-1], dir_fd=fd, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise refuse(errno.ELOOP if stat.S_ISLNK(mode) else errno.EOPNOTSUPP)
            return os.open(path[-1], _OPEN | access | (os.O_TRUNC if truncate else 0), dir_fd=fd)

    def create(self, path: Path, name: bytes, access: int, mode: int, exclusive: bool, truncate: bool) -> int:
        """A new regular file; where one is already there and that is fine, its content."""
        self._changing()
        name_of(name)
        try:
            with self._directory(path) as fd:
                new = os.open(name, _OPEN | os.O_CREAT | os.O_EXCL | access, 0o600, dir_fd=fd)
        except FileExistsError:
            if exclusive:
                raise
            return self.open((*path, name), access, truncate)
        os.fchmod(new, mode & _PERMISSIONS)
        return new

    def mkdir(self, path: Path, name: bytes, mode: int) -> None:
        self._changing()
        with self._directory(path) as fd:
            os.mkdir(name_of(name), mode & _PERMISSIONS, dir_fd=fd)

    def symlink(self, path: Path, name: bytes, target: bytes) -> None:
        """target: any text; nobody here follows it."""
        self._changing()
        if not target or b"\0" in target:
            raise refuse(errno.EINVAL)
        with self._directory(path) as fd:
            os.symlink(target, name_of(name), dir_fd=fd)

    def readlink(self, path: Path) -> bytes:
        if not path:
            raise refuse(errno.EINVAL)
        with self._directory(path[:-1]) as fd:
            return os.readlink(path[-1], dir_fd=fd)

    def link(self, old: Path, path: Path, name: bytes) -> None:
        self._changing()
        if not old:
            raise refuse(errno.EPERM)
        with self._directory(old[:-1]) as source, self._directory(path) as target:
            os.link(old[-1], name_of(name), src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

    def rename(self, old: Path, path: Path, name: bytes) -> None:
        self._changing()
        if not old:
            raise refuse(errno.EBUSY)
        with self._directory(old[:-1]) as source, self._directory(path) as target:
            os.rename(old[-1], name_of(name), src_dir_fd=source, dst_dir_fd=target)

    def unlink(self, path: Path, *, directory: bool) -> None:
        self._changing()
        if not path:
            raise refuse(errno.EBUSY)
        with self._directory(path[:-1]) as fd:
            if directory:
                os.rmdir(path[-1], dir_fd=fd)
            else:
                os.unlink(path[-1], dir_fd=fd)

    def names(self, fd: int) -> list[bytes]:
        """What is in an open directory, in an order that every run repeats."""
        return sorted(os.fsencode(name) for name in os.listdir(fd))

    @contextmanager
    def handle(self, path: Path) -> Iterator[int]:
        """A descriptor (O_PATH) of anything but a symbolic link, to change its attributes by."""
        if not path:
            yield self._root
            return
        with self._directory(path[:-1]) as parent:
            fd = os.open(path[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                raise refuse(errno.EOPNOTSUPP)
            yield fd
        finally:
            os.close(fd)

    def set_attributes(
        self, fd: int, *, mode: int | None = None, size: int | None = None, times: tuple[int, int] | None = None
    ) -> None:
        """fd: of `handle`, or an open one.  times: of access and of change, in ns since 1970."""
        self._changing()
        place = f"/proc/self/fd/{fd}"  # an O_PATH descriptor is good for nothing else
        if size is not None:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise refuse(errno.EINVAL)
            os.truncate(place, size)
        if mode is not None:
            os.chmod(place, mode & _PERMISSIONS)
        if times is not None:
            os.utime(place, ns=times)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Files behind non-volatile memory: read when the machine is made, written when a run that asked for it has ended."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from bridge.errors import ConfigError, UserError


def read_backing(path: str, size: int, where: str, *, may_miss: bool) -> bytes:
    """The file's content, at most `size` bytes; ConfigError at `where` otherwise.

    may_miss: a file that is not there is empty.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{where}: {path}: not a file")
            data = file.read(size + 1)
    except FileNotFoundError as error:
        if may_miss:
            return b""
        raise ConfigError(f"{where}: {path}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > size:
        raise ConfigError(f"{where}: {path}: larger than the {size:#x} bytes of the device")
    return data


def write_backing(path: str, content: Iterable[bytes | memoryview]) -> None:
    """Replaces the file as a whole, or, with UserError, not at all."""
    temporary = ""
    try:
        mode = _mode(path)
        target = os.path.realpath(path)
        name = f"{target}.{os.getpid()}.new"
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        temporary = name
        with os.fdopen(handle, "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise UserError(f"{path}: not saved: {error.strerror}") from None


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

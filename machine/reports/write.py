# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of a report: written whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from bridge.errors import UserError
from machine.reports.page import START


def check(path: Path, *, force: bool, source: Path | None = None) -> bool:
    """Whether a report stands there already; UserError where it must not be written, before any work is done."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UserError(f"{path}: there is no folder {path.parent}") from None
        return False
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: not a file")
    if source is not None and source.exists() and os.path.samefile(path, source):
        raise UserError(f"{path}: is what the report is made from")
    try:
        with open(path, "rb") as file:
            own = file.read(len(START)) == START.encode()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not own and not force:
        raise UserError(f"{path}: exists and is no report of ccabridge; --force replaces it")
    return True


def write(path: Path, text: str, *, force: bool) -> bool:
    """Writes it; whether another one was replaced."""
    replaces = check(path, force=force)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return replaces


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

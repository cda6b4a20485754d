# SPDX-License-Identifier: GPL-2.0-or-later
"""What is inside a Debian package: deb(5), an ar archive with a compressed tar archive in it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bridge.errors import UserError
from bridge.image import read_bytes

from .compressed import decompress

MAX_MEMBER = 1 << 29
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name without a leading `./`, content) of each regular file in the package; bounded, never outside `/`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(_data(path)), mode="r:") as archive:
            for member in archive:
                name = PurePosixPath("/", member.name)
                if not member.isfile() or ".." in name.parts:
                    continue
                if member.size > MAX_MEMBER:
                    raise UserError(f"{path}: {member.name}: {member.size} bytes are more than a package file has")
                file = archive.extractfile(member)
                if file is not None:
                    yield str(name.relative_to("/")), file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path}: malformed package: {error}") from None


def _data(path: Path) -> bytes:
    """The uncompressed data.tar of the package."""
    data = read_bytes(str(path))
    if not data.startswith(_AR_MAGIC):
        raise UserError(f"{path}: not a Debian package")
    at = len(_AR_MAGIC)
    while at + _AR_HEADER <= len(data):
        header = data[at : at + _AR_HEADER]
        name, length = header[:16].rstrip(b" /").decode("ascii", "replace"), header[48:58].strip()
        if header[58:] != b"`\n" or not length.isdigit():
            break
        start, size = at + _AR_HEADER, int(length)
        if start + size > len(data):
            break
        if name.startswith("data.tar"):
            content = memoryview(data)[start : start + size]
            return bytes(content) if name == "data.tar" else decompress(str(path), content)
        at = start + size + size % 2
    raise UserError(f"{path}: malformed package: it has no whole data.tar")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels that were fetched: one folder each in the user's cache, whole or not there at all."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import UserError
from machine.folders import user_folder

IMAGE, BUSYBOX, MODULES, ABOUT = "Image", "busybox", "modules", "about.json"


@dataclass(frozen=True, slots=True)
class CachedKernel:
    """A fetched kernel.  release: as `uname -r`; version: of its package; modules: the folder with its *.ko*."""

    release: str
    version: str
    flavour: str
    suite: str
    image: Path
    modules: Path | None


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/ccabridge/linux`, `~/.cache/ccabridge/linux` by default."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "linux"


def cached_kernels() -> list[CachedKernel]:
    """All fetched kernels, the newest first."""
    found = [kernel for path in cache_dir().glob(f"kernels/*/{ABOUT}") if (kernel := _read(path)) is not None]
    return sorted(found, key=lambda kernel: (version_key(kernel.version), kernel.release), reverse=True)


def cached_kernel(flavour: str | None = None) -> CachedKernel | None:
    """The newest fetched kernel, of one flavour (`cloud`, `full`) or of any; the small one of two alike."""
    kernels = [kernel for kernel in cached_kernels() if flavour in (None, kernel.flavour)]
    newest = [kernel for kernel in kernels if kernel.version == kernels[0].version]
    return min(newest, key=lambda kernel: (kernel.flavour != "cloud", kernel.release), default=None)


def cached_as(image: Path) -> CachedKernel | None:
    """The fetched kernel whose Image a path names, or None: its modules stand beside it."""
    about = image.resolve().parent / ABOUT
    kernel = _read(about)
    return kernel if kernel is not None and kernel.image.resolve() == image.resolve() else None


def cached_busybox() -> Path | None:
    """The fetched static busybox, or None."""
    path = cache_dir() / BUSYBOX / BUSYBOX
    return path if path.is_file() else None


def kernel_dir(release: str) -> Path:
    """Where the kernel of a release is kept."""
    return cache_dir() / "kernels" / release


def _read(path: Path) -> CachedKernel | None:
    """None for what another version of the program, or another program, has left there."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        release, version, flavour, suite = (about[name] for name in ("release", "version", "flavour", "suite"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    image, modules = path.parent / IMAGE, path.parent / MODULES
    if not all(isinstance(word, str) for word in (release, version, flavour, suite)) or not image.is_file():
        return None
    return CachedKernel(release, version, flavour, suite, image, modules if modules.is_dir() else None)


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when all went well, and goes away otherwise."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
            folder.rename(old / "was")
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def version_key(version: str) -> tuple[object, ...]:
    """Sorts package versions as dpkg does: epoch, upstream version, Debian revision (deb-version(7))."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (int(epoch) if epoch.isdecimal() else 0, _part_key(upstream), _part_key(revision))


def _part_key(text: str) -> tuple[object, ...]:
    def order(c: str) -> int:
        return -1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256

    pairs = re.findall(r"(\D*)(\d*)", text)
    return tuple(((*map(order, letters), 0), int(digits or 0)) for letters, digits in pairs)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's arm64 kernels: which there are, and into the cache with one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import UserError, did_you_mean

from . import deb
from .apt import Apt, Package, Report, configured_sources, mirrors
from .cache import (
    ABOUT,
    BUSYBOX,
    IMAGE,
    MODULES,
    CachedKernel,
    cache_dir,
    cached_kernels,
    filling,
    kernel_dir,
    version_key,
)

SUITE = "trixie-backports"
FLAVOURS = {"cloud": "cloud-arm64", "full": "arm64"}
_SUITE = re.compile(r"[a-z0-9][a-z0-9._/-]*")
_RELEASE = re.compile(r"\d[\w.+~-]*")
# Since 6.19, linux-binary-RELEASE has the kernel and linux-modules-RELEASE the modules, and linux-image-RELEASE only
# depends on both; before, it had everything.  The unsigned ones differ in the signature for Secure Boot only.
_KERNEL = re.compile(
    r"linux-(?P<kind>binary|image)-(?P<unsigned>unsigned-)?"
    r"(?P<release>(?P<version>\d[\w.+~-]*?)-(?P<flavour>cloud-arm64|arm64))(?P<old_unsigned>-unsigned)?"
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that a suite has.  package: what carries the kernel; modules: what carries its modules."""

    release: str
    version: str
    flavour: str
    package: Package
    modules: Package


def kernels(packages: Iterable[Package]) -> list[Kernel]:
    """The kernels among packages, the newest first."""
    by_name: dict[str, Package] = {}
    for package in packages:
        old = by_name.get(package.name)
        if old is None or version_key(old.version) < version_key(package.version):
            by_name[package.name] = package
    found: dict[str, tuple[tuple[bool, bool], Kernel]] = {}
    flavours = {name: flavour for flavour, name in FLAVOURS.items()}
    for package in by_name.values():
        match = _KERNEL.fullmatch(package.name)
        if match is None or match["version"].endswith("-rt"):
            continue
        split = by_name.get(f"linux-modules-{match['release']}")
        if match["kind"] == "image" and split is not None:
            continue
        rank = (match["kind"] == "binary", not (match["unsigned"] or match["old_unsigned"]))
        kernel = Kernel(match["release"], package.version, flavours[match["flavour"]], package, split or package)
        if match["release"] not in found or found[match["release"]][0] < rank:
            found[match["release"]] = (rank, kernel)
    order = sorted(found.values(), key=lambda item: (version_key(item[1].version), item[1].release), reverse=True)
    return [kernel for _, kernel in order]


def choose(found: list[Kernel], flavour: str, version: str | None, suite: str) -> Kernel:
    """The newest of a flavour whose release is `version`, or starts with it at a dot; UserError names the nearest."""
    if flavour not in FLAVOURS:
        raise UserError(f"there is no flavour `{flavour}`{did_you_mean(flavour, list(FLAVOURS))}")
    fitting = [kernel for kernel in found if kernel.flavour == flavour]
    if not fitting:
        raise UserError(f"{suite}: has no arm64 kernel of flavour {flavour}")
    if version is None:
        return fitting[0]
    for kernel in fitting:
        rest = kernel.release.removeprefix(version)
        if kernel.release.startswith(version) and not rest[:1].isdigit():
            return kernel
    raise UserError(f"{suite}: has no {flavour} kernel {version}; it has {_sample(fitting)}")


def _sample(found: list[Kernel]) -> str:
    numbers = list(dict.fromkeys(re.split(r"[^\d.]", kernel.release)[0].rstrip(".") for kernel in found))
    return ", ".join(numbers[:8]) + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")


def open_suite(suite: str, report: Report) -> Apt:
    """apt over the first configured mirror that has the suite, its index fetched."""
    if _SUITE.fullmatch(suite) is None:
        raise UserError(f"--suite {suite}: not the name of a suite, such as {SUITE}")
    candidates = mirrors(configured_sources(), suite)
    if not candidates:
        raise UserError("apt's configuration on this machine names no Debian mirror: give a kernel by its path")
    failure: UserError | None = None
    for source in candidates:
        apt = Apt(source, _writable(cache_dir() / "apt"), report)
        try:
            apt.update()
            return apt
        except UserError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def fetch_kernel(apt: Apt, kernel: Kernel, *, modules: bool, report: Report) -> CachedKernel:
    """Downloads, checks and unpacks what is not cached yet; the kernel as it is in the cache afterwards."""
    cached = _cached(kernel)
    if cached is not None and (cached.modules is not None or not modules):
        return cached
    folder = kernel_dir(_safe_release(kernel))
    wanted = [kernel.package] if not modules or kernel.modules is kernel.package else [kernel.package, kernel.modules]
    with filling(folder) as fresh:
        for package in wanted:
            report(f"{package.name} {package.version}, {package.size / 1e6:.1f} MB")
            path = apt.download(package, fresh)
            count = _unpack(path, fresh, kernel=package is kernel.package, modules=modules)
            path.unlink()
            if not count:
                raise UserError(f"{package.name}: holds neither a kernel nor modules")
        if not (fresh / IMAGE).is_file():
            raise UserError(f"{kernel.package.name}: holds no kernel")
        about: dict[str, object] = {"release": kernel.release, "version": kernel.version, "flavour": kernel.flavour}
        about |= {"suite": apt.source.suites[0], "packages": {p.name: p.sha256 for p in wanted}}
        (fresh / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    result = _cached(kernel)
    if result is None:
        raise UserError(f"{folder}: was changed by someone else while it was filled")
    return result


def fetch_busybox(apt: Apt, report: Report) -> Path:
    """Debian's static arm64 busybox, into the cache; its path there."""
    package = max(
        (package for package in apt.packages() if package.name == "busybox-static"),
        key=lambda package: version_key(package.version),
        default=None,
    )
    if package is None:
        raise UserError(f"{apt.source.suites[0]}: has no busybox-static for arm64")
    folder = cache_dir() / BUSYBOX
    with filling(folder) as fresh:
        report(f"{package.name} {package.version}, {package.size / 1e6:.1f} MB")
        path = apt.download(package, fresh)
        for name, content in deb.members(path):
            if name in ("bin/busybox", "usr/bin/busybox"):
                (fresh / BUSYBOX).write_bytes(content)
                (fresh / BUSYBOX).chmod(0o755)
        path.unlink()
        if not (fresh / BUSYBOX).is_file():
            raise UserError(f"{package.name}: holds no busybox")
    return folder / BUSYBOX


def busybox_suite(suite: str) -> str:
    """The suite that backports are made for: those hold no busybox."""
    return suite.removesuffix("-backports").removesuffix("-backports-sloppy")


def _cached(kernel: Kernel) -> CachedKernel | None:
    same = (c for c in cached_kernels() if (c.release, c.version) == (kernel.release, kernel.version))
    return next(same, None)


def _safe_release(kernel: Kernel) -> str:
    if _RELEASE.fullmatch(kernel.release) is None:
        raise UserError(f"{kernel.release}: not the name of a kernel release")
    return kernel.release


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    return folder


def _unpack(path: Path, into: Path, *, kernel: bool, modules: bool) -> int:
    """Puts the kernel and the modules of one package where they belong; how many files there were."""
    count = 0
    for name, content in deb.members(path):
        parts = name.removeprefix("usr/").split("/")
        # Since 7.2 the kernel lies among its modules, /usr/lib/modules/RELEASE/vmlinuz.
        in_boot = parts[0] == "boot" and parts[-1].startswith(("vmlinuz-", "vmlinux-"))
        in_modules = parts[:2] == ["lib", "modules"]
        if in_boot or (in_modules and parts[3:] == ["vmlinuz"]):
            if not kernel:
                continue
            (into / IMAGE).write_bytes(content)
        elif modules and in_modules and len(parts) > 3:
            target = into / MODULES / Path(*parts[3:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        else:
            continue
        count += 1
    return count

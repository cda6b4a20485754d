# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge doctor`: what this installation has, and what to do about what it lacks."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

HELP = "say what this installation has, and what to do about what it lacks"
OLDEST_PYTHON = (3, 11)
REINSTALL = "pip install --force-reinstall ccabridge, or `make` in a checkout"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked for.  needed_for: empty when nothing works without it."""

    name: str
    ok: bool
    found: str
    needed_for: str = ""
    remedy: str = ""

    @property
    def required(self) -> bool:
        return not self.needed_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list of the checks")


def main(args: argparse.Namespace) -> int:
    """1 when something is missing that nothing works without, else 0."""
    checks = list(all_checks())
    broken = any(check.required and not check.ok for check in checks)
    if args.json:
        import json

        print(json.dumps([asdict(check) | {"required": check.required} for check in checks], indent=2))
        return int(broken)
    for check in checks:
        state = "ok" if check.ok else "MISSING" if check.required else "absent"
        print(f"{state:<8} {check.name:<10} {check.found}")
        if not check.ok:
            print(f"{'':<8} {'':<10} remedy: {check.remedy}")
            if check.needed_for:
                print(f"{'':<8} {'':<10} only needed {check.needed_for}")
    print("something is missing that nothing works without" if broken else "all that is needed is there")
    return int(broken)


def all_checks() -> Iterator[Check]:
    """Every check, the most basic first."""
    yield _python()
    yield _engine()
    yield _plugin()
    yield _libraries()
    yield _firmware()
    yield _program("C compiler", ("cc", "gcc", "clang"), "to build the plugin from source", "apt install gcc libc6-dev")
    yield _toolchain()
    yield _program("make", ("make",), "to build from a checkout, or what `new` writes", "apt install make")
    yield _program("dtc", ("dtc",), "to look at device trees", "apt install device-tree-compiler")


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", sys.version_info >= OLDEST_PYTHON, found, remedy=f"install Python {oldest} or later")


def pins() -> dict[str, str]:
    """{distribution: version} that this installation was made with, from its own metadata."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("ccabridge") or []
    except PackageNotFoundError:
        return {}
    exact = [line for line in lines if ";" not in line and "==" in line]
    return {name.strip(): version.strip() for name, _, version in (line.partition("==") for line in exact)}


def _installed(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _engine() -> Check:
    pinned, found = pins().get("unicorn"), _installed("unicorn")
    remedy = f"pip install unicorn{'==' + pinned if pinned else ''}"
    spec = importlib.util.find_spec("unicorn")
    if found is None or spec is None or spec.origin is None:
        return Check("engine", False, "unicorn is not installed", remedy=remedy)
    library = Path(spec.origin).parent / "lib" / "libunicorn.so.2"
    if not library.is_file():
        return Check("engine", False, f"unicorn {found} has no {library}", remedy=remedy)
    if pinned is not None and found != pinned:
        return Check("engine", False, f"unicorn {found}; the plugin is made for {pinned}", remedy=remedy)
    return Check("engine", True, f"unicorn {found}, {library}")


def _plugin() -> Check:
    try:
        from bridge import plugin
    except Exception as error:  # whatever a broken extension raises while it loads is the finding
        return Check("plugin", False, str(error).split("\n")[0], remedy=REINSTALL)
    spec = importlib.util.find_spec("bridge._plugin")
    return Check("plugin", bool(plugin.lib), spec.origin or "" if spec is not None else "")


def _libraries() -> Check:
    wrong = []
    for name, pinned in pins().items():
        found = _installed(name)
        if found is None:
            wrong.append(f"{name} is not installed")
        elif found != pinned:
            wrong.append(f"{name} {found} instead of {pinned}")
    if not pins():
        return Check("libraries", False, "the distribution ccabridge is not installed", remedy=REINSTALL)
    listed = ", ".join(f"{name} {pinned}" for name, pinned in pins().items())
    return Check("libraries", not wrong, ", ".join(wrong) or listed, remedy=REINSTALL)


def _firmware() -> Check:
    from firmware import locate
    from firmware.images import IMAGES

    missing = [image.name for image in IMAGES if not locate(image.name).is_file()]
    folder = locate("").parent
    if missing:
        return Check("firmware", False, f"{folder} has no {', '.join(missing)}", remedy=f"`make firmware`; {REINSTALL}")
    return Check("firmware", True, f"{len(IMAGES)} images in {folder}")


def _toolchain() -> Check:
    from firmware.toolchain import REMEDY, ToolchainError, find

    try:
        toolchain = find()
    except ToolchainError as error:
        return Check("aarch64 cc", False, str(error).split(":")[0], "to build firmware", REMEDY)
    return Check("aarch64 cc", True, f"{toolchain.name}: {' '.join(toolchain.command)}", "to build firmware")


def _program(name: str, candidates: tuple[str, ...], needed_for: str, remedy: str) -> Check:
    found = next((path for path in map(shutil.which, candidates) if path), None)
    return Check(name, found is not None, found or "not found", needed_for, remedy)

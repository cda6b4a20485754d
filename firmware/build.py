# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the firmware: `python -m firmware.build [NAMES] [--out DIR]`.

Objects and images are named by what went into them (command, source, headers), so that a second build does
nothing, and two builds at a time do not disturb each other.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware import headers, sdk_dir
from firmware.images import IMAGES, PROGRAMS, Firmware
from firmware.toolchain import Toolchain, ToolchainError, find, run, runtime_sources

ROOT = Path(__file__).resolve().parent
SCRIPTS = {"linux": "linux-init/linux.ld", "image": "payloads/mini-linux/image.ld"}
INCLUDES = ("-Isdk/include", "-Ivmm", "-Istage1", "-Isecure", "-Iattacker", "-Iirqs")


def _same_everywhere() -> list[str]:
    """Line tables name sources from this folder on, wherever it stands, and the compiler's own headers as such."""
    spec = importlib.util.find_spec("ziglang")
    folders = {str(ROOT): ".", **({str(Path(spec.origin).parent): "zig"} if spec and spec.origin else {})}
    return [f"-ffile-prefix-map={folder}={name}" for folder, name in folders.items()]


class Builder:
    """Builds images into `out`, objects into `out`/obj."""

    def __init__(self, toolchain: Toolchain, out: Path) -> None:
        self._toolchain = toolchain
        self._out = out
        self._objects = out / "obj"
        self._objects.mkdir(parents=True, exist_ok=True)
        shared = sorted([*ROOT.rglob("*.h"), *(sdk_dir() / "include").glob("*.h")])
        self._headers = hashlib.sha256(b"\0".join(path.read_bytes() for path in shared)).digest()
        self.used: set[Path] = set()

    def image(self, firmware: Firmware) -> bool:
        """Builds one image; False when it is up to date."""
        kind = firmware.kind
        runtime = "realm" if kind == "image" else kind
        sdk = [] if kind == "linux" else [f"sdk/{source}" for source in runtime_sources(runtime)]
        objects = [self._object(source) for source in (*sdk, *firmware.sources)]
        script = SCRIPTS.get(kind, f"sdk/{kind}.ld")
        # A realm's initramfs is measured, page by page: no debug information there.
        strip = ["-Wl,--strip-debug"] if kind == "linux" else []
        command = self._toolchain.cc([f"-Wl,-T,{script}", *strip, *map(str, objects)])
        key = self._key(command, (ROOT / script).read_bytes())
        image, stamp = self._out / f"{firmware.name}.elf", self._objects / f"{firmware.name}.image"
        if image.is_file() and stamp.is_file() and stamp.read_text() == key:
            return False
        self._produce(command, image)
        stamp.write_text(key)
        return True

    def _object(self, source: str) -> Path:
        command = self._toolchain.cc([*INCLUDES, *_same_everywhere(), "-c", source])
        key = self._key(command, (ROOT / source).read_bytes(), self._headers)
        path = self._objects / f"{Path(source).stem}-{key}.o"
        self.used.add(path)
        if not path.is_file():
            self._produce(command, path)
        return path

    def _key(self, command: Sequence[str], *contents: bytes) -> str:
        digest = hashlib.sha256("\0".join(command).encode())
        for content in contents:
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()[:16]

    def _produce(self, command: list[str], path: Path) -> None:
        fresh = path.with_name(f".{os.getpid()}-{path.name}")
        run([*command, "-o", str(fresh)], cwd=ROOT)
        fresh.chmod(0o644)
        fresh.replace(path)

    def prune(self) -> None:
        """Removes objects that no image is made of any more."""
        for path in self._objects.glob("*.o"):
            if path not in self.used and not path.name.startswith("."):
                path.unlink(missing_ok=True)


def build(names: Sequence[str] = (), out: Path | None = None) -> list[str]:
    """Builds the named images, or all; returns the names of those that were not up to date.

    KeyError for a name that is no image; ToolchainError when there is no compiler or it fails.
    """
    if not (ROOT / "host").is_dir():
        raise ToolchainError("the sources are not installed, only the built images: build from a source tree")
    known = {firmware.name: firmware for firmware in (*IMAGES, *PROGRAMS)}
    chosen = [known[name] for name in names] or list(known.values())
    toolchain = find()
    headers.generate()
    builder = Builder(toolchain, (out or ROOT / "build").resolve())
    built = [firmware.name for firmware in chosen if builder.image(firmware)]
    if not names:
        builder.prune()
    return built


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m firmware.build", description="Builds the firmware images.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="images to build; by default all")
    parser.add_argument("--out", type=Path, help="where the images go; by default firmware/build")
    parser.add_argument("-v", action="store_true", dest="verbose", help="name what was built")
    options = parser.parse_args(arguments)
    known = [firmware.name for firmware in (*IMAGES, *PROGRAMS)]
    for name in options.names:
        if name not in known:
            print(f"firmware: there is no image `{name}`; known are {', '.join(known)}", file=sys.stderr)
            return 2
    try:
        built = build(options.names, options.out)
    except ToolchainError as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 1
    if options.verbose:
        print(f"firmware: built {', '.join(built) or 'nothing: all is up to date'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""The aarch64 compiler: whichever is found of GNU, LLVM and zig, called in one way.

python -m firmware.toolchain cc ARGUMENTS…      compile or link, freestanding, for aarch64
python -m firmware.toolchain host -o X.elf SOURCES…      link host firmware with the SDK's runtime
python -m firmware.toolchain payload -o X.elf SOURCES…   the same for a realm payload
python -m firmware.toolchain service -o X.elf SOURCES…   the same for a service of the Secure world
python -m firmware.toolchain sdk                print the SDK's directory
python -m firmware.toolchain show               print the compiler and its flags
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware import sdk_dir

OVERRIDE = "CCABRIDGE_CC"
REMEDY = (
    "install one of: `apt install gcc-aarch64-linux-gnu`; `apt install clang lld`; `pip install ziglang` "
    f"(in this Python); or name a compiler in {OVERRIDE}"
)

# What every image of the project is built with.  The MMU may be off, where all memory is Device: no access
# may be unaligned, and none may be by SIMD, which a realm would have to enable first.
COMPILE = (
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-common",
    "-ffunction-sections",
    "-fdata-sections",
    "-mgeneral-regs-only",
    "-mstrict-align",
)
LINK = (
    "-nostdlib",
    "-static",
    "-Wl,--build-id=none",
    "-Wl,--gc-sections",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
)


class ToolchainError(Exception):
    """No compiler, or a compiler that failed; one line with the remedy, or the compiler's own messages."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A compiler driver.  command: how to start it; compile, link: what it needs beyond COMPILE and LINK."""

    name: str
    command: tuple[str, ...]
    compile: tuple[str, ...]
    link: tuple[str, ...]

    def cc(self, arguments: Sequence[str]) -> list[str]:
        """The command line for one call of the driver, which links unless the arguments say otherwise."""
        linking = () if {"-c", "-S", "-E"} & set(arguments) else (*LINK, *self.link)
        debug = any(argument.startswith("-g") for argument in arguments)
        own = [word for word in self.compile if word != "-g0" or not debug]  # zig's -g does not overrule it
        return [*self.command, *own, *COMPILE, *linking, *arguments]


_GNU = ("-march=armv8.2-a", "-mno-outline-atomics", "-fno-pie", "-fno-tree-loop-distribute-patterns")
_LLVM = ("--target=aarch64-none-elf", "-march=armv8.2-a", "-mno-outline-atomics", "-fno-pic")
_ZIG = ("-target", "aarch64-freestanding-none", "-mcpu=generic+v8_2a", "-mno-outline-atomics", "-fno-pic")
# zig names every feature of its CPU behind -mgeneral-regs-only, which takes these two away.
_ZIG_NO_SIMD = ("-Xclang", "-target-feature", "-Xclang", "-neon", "-Xclang", "-target-feature", "-Xclang", "-fp-armv8")


def find(environ: Mapping[str, str] = os.environ) -> Toolchain:
    """The first that is there: CCABRIDGE_CC, aarch64-linux-gnu-gcc, clang with ld.lld, the ziglang package."""
    override = environ.get(OVERRIDE)
    if override:
        command = tuple(shlex.split(override))
        if not command or shutil.which(command[0]) is None:
            raise ToolchainError(f"{OVERRIDE}: `{override}` is not a command that can be run")
        return _of(command)
    gcc = shutil.which("aarch64-linux-gnu-gcc")
    if gcc:
        return _of((gcc,))
    clang = shutil.which("clang")
    if clang and shutil.which("ld.lld"):
        return _of((clang,))
    if importlib.util.find_spec("ziglang") is not None:
        return _of((sys.executable, "-m", "ziglang", "cc"))
    raise ToolchainError(f"no aarch64 compiler: {REMEDY}")


def _of(command: tuple[str, ...]) -> Toolchain:
    base = os.path.basename(command[0])
    if "ziglang" in command or base.startswith("zig"):
        # zig adds undefined-behaviour traps and debug sections with absolute paths.
        return Toolchain("zig", command, (*_ZIG, *_ZIG_NO_SIMD, "-fno-sanitize=all", "-g0"), ())
    if "clang" in base:
        return Toolchain("clang", command, _LLVM, ("-fuse-ld=lld",))
    return Toolchain("gcc", command, _GNU, ("-no-pie",))


def run(command: Sequence[str], cwd: Path | None = None) -> None:
    """Runs one command; ToolchainError with what it printed when it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        raise ToolchainError(f"{command[0]}: {error.strerror}: {REMEDY}") from None
    if done.returncode:
        raise ToolchainError(f"{shlex.join(command)}\n{done.stdout.rstrip()}")
    if done.stdout:
        sys.stderr.write(done.stdout)


def runtime_sources(kind: str) -> tuple[str, ...]:
    """crt0 and runtime of a `host`, `realm` or `secure` image, relative to the SDK.  A service has no console."""
    names = ("mem", kind) if kind == "secure" else ("mem", "print", kind)
    return (f"crt0_{kind}.S", *(f"runtime/{name}.c" for name in names))


def sdk_arguments(kind: str, script: bool = True) -> list[str]:
    """Include path, linker script, crt0 and runtime of a `host`, `realm` or `secure` image."""
    sdk = sdk_dir()
    linker = [f"-Wl,-T,{sdk / f'{kind}.ld'}"] if script else []
    sources = [str(sdk / source) for source in runtime_sources(kind)]
    return [f"-I{sdk / 'include'}", *linker, *sources]


_KINDS = {"host": "host", "payload": "realm", "service": "secure"}


def main(arguments: Sequence[str]) -> int:
    verb, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    try:
        if verb == "cc":
            run(find().cc(rest))
        elif verb in _KINDS:
            kind = _KINDS[verb]
            own_script = any(argument.startswith("-Wl,-T") or argument == "-T" for argument in rest)
            run(find().cc([*sdk_arguments(kind, script=not own_script), *rest]))
        elif verb == "sdk":
            print(sdk_dir())
        elif verb == "show":
            toolchain = find()
            print(f"{toolchain.name}: {shlex.join(toolchain.cc([]))}")
        else:
            print((__doc__ or "").strip(), file=sys.stderr)
            return 2
    except ToolchainError as error:
        print(f"firmware: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds `bridge._plugin`, the cffi API-mode extension around the plugin's C files.

The declarations that Python sees are cut from cca.h and gic.h, so that each is written once.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = (
    "core.c",
    "exception.c",
    "mmu.c",
    "sysreg.c",
    "traps.c",
    "vhe.c",
    "watchpoints.c",
    "debug.c",
    "coverage.c",
    "time.c",
    "pmu.c",
    "maintenance.c",
    "snapshot.c",
    "translate.c",
    "translate_s1.c",
    "translate_s2.c",
    "gpc.c",
    "decode.c",
    "interrupt.c",
    "gic.c",
    "gic_dist.c",
    "gic_redist.c",
    "gic_cpu.c",
    "gic_virt.c",
    "bind_unicorn.c",
)


def unicorn_directory() -> Path:
    """The folder of the installed unicorn wheel, found without importing it (that would load the engine)."""
    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        sys.exit("ccabridge: the unicorn wheel is needed to build the plugin: pip install unicorn==2.1.4")
    return Path(spec.origin).parent


def declarations() -> str:
    texts = [(HERE / name).read_text(encoding="utf-8") for name in ("gic.h", "cca.h")]
    return "".join(text.split("/* cffi: begin */")[1].split("/* cffi: end */")[0] for text in texts)


def header_directories() -> list[str]:
    """Beside the compiler's own: the plugin's, and ours for the stable ABI where Python came without its headers."""
    python = Path(sysconfig.get_paths()["include"]) / "Python.h"
    own = [HERE] if python.is_file() else [HERE, HERE / "stable_abi"]
    return [os.path.relpath(path, HERE.parent.parent) for path in own]


def make_ffibuilder() -> FFI:
    unicorn = unicorn_directory()
    builder = FFI()
    builder.cdef(declarations())
    flags = ["-std=c11", "-O3", "-flto", "-Wall", "-Wextra", "-fvisibility=hidden"]
    link = ["-O3", "-flto", "-Wl,-rpath,$ORIGIN/../unicorn/lib"]
    if os.environ.get("CCABRIDGE_WERROR"):
        flags.append("-Werror")
    sanitizers = os.environ.get("CCABRIDGE_SANITIZE")
    if sanitizers:
        flags += [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]
        link.append(f"-fsanitize={sanitizers}")
    root = HERE.parent.parent
    sources = [os.path.relpath(HERE / name, root) for name in SOURCES if (HERE / name).exists()]
    builder.set_source(
        "bridge._plugin",
        '#include "cca.h"\n',
        sources=sources,
        include_dirs=[*header_directories(), str(unicorn / "include")],
        extra_objects=[str(unicorn / "lib" / "libunicorn.so.2")],
        extra_compile_args=flags,
        extra_link_args=link,
        py_limited_api=True,
        depends=[os.path.relpath(p, root) for p in sorted(HERE.glob("*.h"))],
    )
    return builder


ffibuilder = make_ffibuilder()

if __name__ == "__main__":
    os.chdir(HERE.parent.parent)
    ffibuilder.compile(verbose=True)

"""The plugin's translation and decode units, built alone, and a small machine to put tables in.

The units are compiled once per content of their sources into ``build/test-units/``. ``CCA_SANITIZE`` names
sanitizers to build them with: ``undefined`` needs nothing more, ``address`` needs its runtime preloaded and does
not go together with the disassembler that ``test_decode`` loads::

    CCA_SANITIZE=undefined python -m pytest tests/plugin
    CCA_SANITIZE=address,undefined ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$(gcc -print-file-name=libasan.so) \\
        python -m pytest tests/plugin --ignore tests/plugin/test_decode.py
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cffi import FFI

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "bridge" / "plugin_c"
BUILD = ROOT / "build" / "test-units"
UNITS = (
    "translate.c",
    "translate_s1.c",
    "translate_s2.c",
    "gpc.c",
    "decode.c",
    "gic.c",
    "gic_dist.c",
    "gic_redist.c",
    "gic_cpu.c",
    "gic_virt.c",
)
HEADERS = ("cca_types.h", "gic.h")

# RAM of the tests ends at an inaccessible page, so that a read past its end kills the test at once.
GUARD = """
#include <sys/mman.h>
static uint8_t *guarded_alloc(size_t size) {
    size_t pages = (size + 4095) / 4096 * 4096;
    uint8_t *p = mmap(0, pages + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p + 4096, pages, PROT_READ | PROT_WRITE)) return 0;
    return p + 4096 + (pages - size);
}
static void guarded_free(uint8_t *p, size_t size) {
    size_t pages = (size + 4095) / 4096 * 4096;
    munmap(p - (pages - size) - 4096, pages + 8192);
}
"""

READ, WRITE, FETCH = 0, 1, 2
R, W, X = 1, 2, 4
SECURE, NS, ROOT_PAS, REALM = 0x8, 0x9, 0xA, 0xB
GPI_NONE, GPI_ANY = 0x0, 0xF
S1_ONLY, NO_GPC, NO_UPDATE = 1, 2, 4

KINDS = (
    "none",
    "translation",
    "access-flag",
    "permission",
    "address-size",
    "gpf",
    "gpc-walk",
    "external",
    "alignment",
)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _cdef() -> str:
    text = "".join((SOURCE / header).read_text() for header in HEADERS)
    declarations = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    declarations = re.sub(r"^#(?:.*\\\n)*.*$", "", declarations, flags=re.M)
    return declarations + "uint8_t *guarded_alloc(size_t size); void guarded_free(uint8_t *p, size_t size);"


def _compile(name: str, directory: Path, flags: list[str]) -> Path:
    ffi = FFI()
    ffi.cdef(_cdef())
    ffi.set_source(name, "".join(f'#include "{header}"\n' for header in HEADERS) + GUARD)
    wrapper = directory / f"{name}.c"
    with redirect_stdout(io.StringIO()):
        ffi.emit_c_code(str(wrapper))
    out = directory / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    temporary = out.with_suffix(".partial")
    include = ["-I", str(SOURCE), "-I", sysconfig.get_paths()["include"]]
    cc = shlex.split(os.environ.get("CC", "cc"))
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", *flags, *include]
    objects = []
    for unit in UNITS:
        objects.append(str(directory / f"{unit}.o"))
        subprocess.run([*cc, *strict, "-c", str(SOURCE / unit), "-o", objects[-1]], check=True)
    relaxed = ["-shared", "-fPIC", "-D_GNU_SOURCE", *flags, *include]
    subprocess.run([*cc, *relaxed, str(wrapper), *objects, "-o", str(temporary)], check=True)
    temporary.rename(out)
    return out


@functools.cache
def units() -> Any:
    """The extension module (``.lib`` and ``.ffi``), compiled when its sources have changed."""
    flags = ["-O2", "-g"]
    if sanitize := os.environ.get("CCA_SANITIZE"):
        flags = ["-O1", "-g", f"-fsanitize={sanitize}", "-fno-sanitize-recover=undefined"]
    digest = hashlib.sha256(" ".join([*flags, os.environ.get("CC", "cc"), GUARD]).encode())
    for file in [
        *(SOURCE / unit for unit in UNITS),
        SOURCE / "translate.h",
        *(SOURCE / header for header in HEADERS),
        Path(__file__),
    ]:
        digest.update(file.read_bytes())
    name = f"_units_{digest.hexdigest()[:16]}"
    path = BUILD / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    with _locked(BUILD / "lock"):
        if not path.exists():
            _compile(name, BUILD, flags)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Mapped:
    """A translation that succeeded; the fields of ``struct cca_xlate``."""

    pa: int
    ipa: int
    page: int
    prot: int
    pas: int
    attr: int
    s2_memattr: int
    sh: int
    global_: int
    s1_level: int
    s2_level: int


@dataclass(frozen=True)
class Fault:
    """A translation that failed; the fields of ``struct cca_fault``, ``kind`` by name."""

    kind: str
    stage: int
    level: int
    s1ptw: int
    on_walk: int
    fsc: int
    gpc_level: int
    ipa: int
    pa: int


class Memory:
    """Stretches of RAM with a bump allocator in the first; PAs are integers."""

    def __init__(self, *regions: tuple[int, int]) -> None:
        self._units = units()
        ffi = self._units.ffi
        self.regions = sorted(regions)
        self.hosts = [self._units.lib.guarded_alloc(size) for _, size in self.regions]
        if ffi.NULL in self.hosts:
            raise MemoryError("no room for the RAM of a test")
        self._array = ffi.new("struct cca_region[]", max(len(regions), 1))
        for i, ((base, size), host) in enumerate(zip(self.regions, self.hosts, strict=True)):
            self._array[i].base, self._array[i].size, self._array[i].host = base, size, host
        self.mem = ffi.new("struct cca_mem *")
        self.mem.regions, self.mem.nregions = self._array, len(regions)
        self._next = self.regions[0][0] if regions else 0

    def __del__(self) -> None:
        for (_, size), host in zip(self.regions, self.hosts, strict=True):
            self._units.lib.guarded_free(host, size)

    def alloc(self, size: int = 4096, align: int | None = None) -> int:
        """A zeroed stretch of RAM, aligned to its size unless told otherwise."""
        align = size if align is None else align
        self._next = (self._next + align - 1) & -align
        self._next += size
        return self._next - size

    def _at(self, pa: int, size: int) -> Any:
        for (base, length), host in zip(self.regions, self.hosts, strict=True):
            if base <= pa and pa + size <= base + length:
                return self._units.ffi.buffer(host + (pa - base), size)
        raise IndexError(f"no RAM at {pa:#x}")

    def read64(self, pa: int) -> int:
        return int.from_bytes(self._at(pa, 8)[:], "little")

    def write64(self, pa: int, value: int, *, big: bool = False) -> None:
        self._at(pa, 8)[:] = value.to_bytes(8, "big" if big else "little")

    def read(self, pa: int, size: int) -> bytes:
        return bytes(self._at(pa, size)[:])

    def has_ram(self, pa: int, size: int) -> bool:
        """``cca_ram``: one region backs the whole range."""
        return bool(self._units.lib.cca_ram(self.mem, pa, size) != self._units.ffi.NULL)

    def fill(self, pa: int, data: bytes) -> None:
        self._at(pa, len(data))[:] = data


@dataclass
class Tables:
    """A tree of translation tables; ``delta`` is what their own addresses are moved by (IPA - PA)."""

    memory: Memory
    start: int
    ia_bits: int
    page_bits: int = 12
    delta: int = 0
    big: bool = False
    root: int = 0

    def __post_init__(self) -> None:
        if not self.root:
            self.root = self.memory.alloc(max(8 << (self.ia_bits - self.shift(self.start)), 64))

    def shift(self, level: int) -> int:
        return self.page_bits + (3 - level) * (self.page_bits - 3)

    @property
    def base(self) -> int:
        """What TTBR or VTTBR holds."""
        return self.root + self.delta

    def entry(self, address: int, level: int, table_bits: int = 0) -> int:
        """PA of the entry for ``address`` at ``level``; makes the tables on the way, with ``table_bits``."""
        table = self.root
        mask = (1 << self.ia_bits) - 1
        for at in range(self.start, level + 1):
            index = (address & mask) >> self.shift(at)
            if at > self.start:
                index &= (1 << (self.page_bits - 3)) - 1
            place = table + index * 8
            if at == level:
                return place
            desc = self.memory.read64(place)
            if self.big:
                desc = int.from_bytes(desc.to_bytes(8, "little"), "big")
            if desc & 3 != 3:
                desc = (self.memory.alloc(1 << self.page_bits) + self.delta) | 3
            self.memory.write64(place, desc | table_bits, big=self.big)
            table = (desc & 0xFFFF_FFFF_F000) - self.delta
        raise ValueError(f"level {level} lies above the start table")

    def set(self, address: int, desc: int, level: int = 3, table_bits: int = 0) -> int:
        """Writes a descriptor and answers where it is."""
        place = self.entry(address, level, table_bits)
        self.memory.write64(place, desc, big=self.big)
        return place


class Gpt:
    """Granule protection table in the architecture's format (rmm-abi.md §13.6)."""

    def __init__(self, memory: Memory, *, default: int, pps: int = 32, l0: int = 30, pgs: int = 12) -> None:
        self.memory, self.pps, self.l0, self.pgs = memory, pps, l0, pgs
        self.base = memory.alloc(max(8 << max(pps - l0, 0), 4096))
        for i in range(1 << max(pps - l0, 0)):
            memory.write64(self.base + i * 8, GPI_ANY << 4 | 1)
        self.size = 8 << (l0 - pgs - 4)
        self.tables: dict[int, int] = {}
        self.table(memory.regions[0][0], default)
        gpc = memory.mem.gpc
        gpc.base, gpc.enabled, gpc.pps_bits, gpc.l0_bits, gpc.pgs_bits = self.base, 1, pps, l0, pgs

    def level0(self, pa: int) -> int:
        return self.base + (pa >> self.l0) * 8

    def table(self, pa: int, default: int) -> int:
        """Gives the level 0 region of ``pa`` a level 1 table whose granules all have ``default``."""
        table = self.memory.alloc(self.size)
        self.memory.fill(table, bytes([default * 0x11]) * self.size)
        self.memory.write64(self.level0(pa), table | 3)
        self.tables[pa >> self.l0] = table
        return table

    def level1(self, pa: int) -> int:
        return self.tables[pa >> self.l0] + ((pa & ((1 << self.l0) - 1)) >> (self.pgs + 4)) * 8

    def set(self, pa: int, gpi: int) -> None:
        place, shift = self.level1(pa), ((pa >> self.pgs) & 15) * 4
        self.memory.write64(place, self.memory.read64(place) & ~(15 << shift) | gpi << shift)

    def get(self, pa: int) -> int:
        return (self.memory.read64(self.level1(pa)) >> ((pa >> self.pgs) & 15) * 4) & 15


class Unit:
    """One PE's registers over a memory; calls the C units."""

    def __init__(self, memory: Memory) -> None:
        self._units = units()
        self.memory = memory
        self.mmu = self._units.ffi.new("struct cca_mmu *")
        self.mmu.pas, self.mmu.pa_bits = NS, 48

    def _result(self, ok: bool, out: Any, fault: Any) -> Mapped | Fault:
        if ok:
            names = ("pa", "ipa", "page", "prot", "pas", "attr", "s2_memattr", "sh")
            fields = {name: getattr(out, name) for name in (*names, "s1_level", "s2_level")}
            return Mapped(**fields, global_=getattr(out, "global"))
        names = ("stage", "level", "s1ptw", "on_walk", "fsc", "gpc_level", "ipa", "pa")
        return Fault(KINDS[fault.kind], *(getattr(fault, name) for name in names))

    def translate(
        self, va: int, access: int = READ, *, el: int = 1, unpriv: bool = False, flags: int = 0
    ) -> Mapped | Fault:
        ffi, lib = self._units.ffi, self._units.lib
        out, fault = ffi.new("struct cca_xlate *"), ffi.new("struct cca_fault *")
        ok = lib.cca_translate(self.memory.mem, self.mmu, va, access, el, unpriv, flags, out, fault)
        return self._result(ok, out, fault)

    def stage2(self, ipa: int, access: int = READ, flags: int = 0) -> Mapped | Fault:
        ffi, lib = self._units.ffi, self._units.lib
        out, fault = ffi.new("struct cca_xlate *"), ffi.new("struct cca_fault *")
        ok = lib.cca_stage2(self.memory.mem, self.mmu, ipa, access, flags, out, fault)
        return self._result(ok, out, fault)

    def gpc(self, pa: int, pas: int) -> tuple[int, Fault | None]:
        """The GPI at ``pa``, and the fault if ``pas`` may not access it."""
        ffi, lib = self._units.ffi, self._units.lib
        gpi, fault = ffi.new("uint8_t *"), ffi.new("struct cca_fault *")
        if lib.cca_gpc_check(self.memory.mem, pa, pas, gpi, fault):
            return gpi[0], None
        result = self._result(False, None, fault)
        return gpi[0], result if isinstance(result, Fault) else None

    def mapped(self, va: int, access: int = READ, **options: Any) -> Mapped:
        result = self.translate(va, access, **options)
        if isinstance(result, Fault):
            raise AssertionError(f"{va:#x}: {result}")
        return result

    def fault(self, va: int, access: int = READ, **options: Any) -> Fault:
        result = self.translate(va, access, **options)
        if isinstance(result, Mapped):
            raise AssertionError(f"{va:#x}: {result}")
        return result

    def prot(self, va: int, *, el: int = 1, unpriv: bool = False) -> int:
        """Rights seen through the accesses that succeed; every success must list the very same rights."""
        rights = 0
        for access, right in ((READ, R), (WRITE, W), (FETCH, X)):
            result = self.translate(va, access, el=el, unpriv=unpriv)
            if isinstance(result, Mapped):
                rights |= right
        for access in (READ, WRITE, FETCH):
            result = self.translate(va, access, el=el, unpriv=unpriv)
            if isinstance(result, Mapped) and result.prot != rights:
                raise AssertionError(f"{va:#x}: prot {result.prot}, accesses allow {rights}")
        return rights

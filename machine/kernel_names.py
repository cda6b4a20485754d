# SPDX-License-Identifier: GPL-2.0-or-later
"""Names in a realm's Linux: of its kallsyms, its vmlinux, or a file that the user names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.core import sysreg

if TYPE_CHECKING:
    from bridge.core import Core
    from machine.config.images import RealmImage
    from machine.machine import Machine
    from machine.vmm.linux.symbols import KernelSymbols


VBAR_EL1 = sysreg(3, 0, 12, 0, 0)


class KernelNames:
    """Found by the IPA that an address translates to: KASLR moves a kernel's addresses, not its memory.

    read: its own symbols, asked for when one must be shown.  base: IPA of its first byte.
    """

    def __init__(self, machine: Machine, base: int, read: Callable[[], KernelSymbols | None]) -> None:
        self._machine = machine
        self._base = base
        self._read = read
        self._own: KernelSymbols | None = None
        self._asked = False
        self._vectors = -1
        self._slide: int | None = None

    @property
    def symbols(self) -> KernelSymbols | None:
        """Those of `--symbols` before its own."""
        from machine.vmm.linux.symbols import KernelSymbols

        given = self._machine.symbols.given_kernel
        if given is not None:
            return KernelSymbols(given, self._base)
        if not self._asked:
            self._asked, self._own = True, self._read()
        return self._own

    def __call__(self, core: Core, pc: int) -> str | None:
        """`name+0x10` for a VA of the realm's; None where the kernel has nothing."""
        if core.pstate >> 2 & 3 == 0:
            return None
        symbols = self.symbols
        if symbols is None:
            return None
        slide = self._slide_of(core)
        name = None if slide is None else symbols.lookup(pc - slide)
        if name is None:  # its MMU is off, or it is in some other mapping of itself
            ipa = ipa_of(self._machine, core, pc)
            name = None if ipa is None else symbols.lookup(ipa)
        return name

    def _slide_of(self, core: Core) -> int | None:
        """VA minus IPA of the kernel's own mapping, which its vectors are in; a walk only when they have moved."""
        vectors = core.get_sysreg(VBAR_EL1)
        if vectors != self._vectors or self._slide is None:
            ipa = ipa_of(self._machine, core, vectors)
            symbols = self.symbols
            known = ipa is not None and symbols is not None and symbols.lookup(ipa) is not None
            self._vectors, self._slide = vectors, vectors - ipa if known and ipa is not None else None
        return self._slide

    def find(self, name: str) -> list[int]:
        """Where a symbol is: by the translation of the first REC that has one; else where it will be, without KASLR."""
        from machine.inspect.contexts import contexts
        from machine.vmm.linux.symbols import KIMAGE_VADDR

        symbols = self.symbols
        offset = None if symbols is None else symbols.offset(name)
        if symbols is None or offset is None:
            return []
        for context in contexts(self._machine):
            core = context.core
            if context.rec is None or core is None:
                continue
            slide = self._slide_of(core)
            if slide:
                return [self._base + offset + slide]
        return [KIMAGE_VADDR + offset, self._base + offset]


def ipa_of(machine: Machine, core: Core, va: int) -> int | None:
    """The IPA of a VA, by the tables of the realm that the core runs."""
    from machine.inspect.contexts import context_of
    from machine.inspect.walk import stage1

    context = context_of(machine, core)
    return None if context is None else stage1(machine, context, va)


def of_realm(machine: Machine, image: RealmImage) -> KernelNames:
    """The names of a kernel that host firmware starts: the realm's image, or what its boot loader has behind it."""
    assert image.linux is not None
    entry, base, data = image.linux.kernel, image.base, image.image.segments[0].data
    for piece in image.pieces:
        if piece.ipa <= entry < piece.ipa + piece.size:
            base, data = piece.ipa, memoryview(piece.data)
    path = image.realm.linux.kernel if image.realm.linux is not None else None

    def read() -> KernelSymbols | None:
        from machine.vmm.linux.symbols import image_symbols

        return image_symbols(path or image.image.path, bytes(data), base)

    return KernelNames(machine, base, read)


def of_vmm(machine: Machine) -> KernelNames:
    """Before the Python VMM has placed the kernel: where it will be, for breakpoints."""
    from machine.vmm.linux import layout

    def read() -> KernelSymbols | None:
        from machine.config.files import locate
        from machine.vmm.linux.image import read_kernel
        from machine.vmm.linux.launch import default_kernel
        from machine.vmm.linux.symbols import image_symbols

        config = machine.config
        name = None if config.vmm is None else config.vmm.kernel
        path = default_kernel() if name is None else locate(name, config.source.where("vmm", "kernel"))
        return image_symbols(str(path), read_kernel(path).data, layout.RAM_BASE)

    return KernelNames(machine, layout.RAM_BASE, read)

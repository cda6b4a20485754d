# SPDX-License-Identifier: GPL-2.0-or-later
"""Names for what a realm was doing: its kernel's symbols, and the exits that it made last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bridge.arch.esr import decode_esr
from bridge.errors import UserError
from machine.vmm.door import GRANULE
from machine.vmm.memory import DATA
from rmm.abi.structs import REC_EXIT
from rmm.abi.values import ExitReason, Ripas, name_of

if TYPE_CHECKING:
    from bridge.core import Core
    from bridge.symbols import SymbolTable
    from machine.vmm.linux.launch import Launch
    from machine.vmm.linux.symbols import KernelSymbols
    from machine.vmm.memory import RealmMemory

FETCH = 2


class KernelNames:
    """The kernel's symbols, by what stands where it was loaded: KASLR moves its addresses, not its memory.

    table: those to use; by default what the image has for itself.
    """

    def __init__(self, launch: Launch, memory: RealmMemory, table: SymbolTable | None = None) -> None:
        self._launch = launch
        self._memory = memory
        self._table = table
        self._symbols: KernelSymbols | None = None
        self._read = False

    def __call__(self, core: Core, pc: int) -> str | None:
        """`name+0x10` for a VA of the realm's; None where the kernel has nothing."""
        at = core.translate(pc, FETCH)
        ipa = None if at is None else self._ipa(at[0])
        if ipa is None:
            return None
        if not self._read:
            self._symbols, self._read = self._find(), True
        return None if self._symbols is None else self._symbols.lookup(ipa)

    def _find(self) -> KernelSymbols | None:
        from machine.vmm.linux.symbols import KernelSymbols, own_symbols, read_symbols

        kernel, base = self._launch.kernel, self._launch.where.kernel
        if self._table is not None:
            return KernelSymbols(self._table, base)
        if kernel.form == "vmlinux":
            try:
                return KernelSymbols(read_symbols(kernel.path), base)
            except UserError:  # stripped: it may have kallsyms
                pass
        return own_symbols(kernel, base)

    def _ipa(self, pa: int) -> int | None:
        """The protected IPA of a DATA granule."""
        memory = self._memory
        try:
            return memory.base + memory.pages.index(pa & -GRANULE | DATA) * GRANULE + pa % GRANULE
        except ValueError:
            return None


def describe_exits(exits: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    """exits: (number of the vCPU, its RmiRecExit), oldest first."""
    for vcpu, data in exits:
        yield f"vCPU {vcpu}: {_describe(data)}"


def _describe(data: bytes) -> str:
    def field(name: str) -> int:
        return int(REC_EXIT.unpacker(name)(data)[0])

    reason = field("exit_reason")
    name = name_of(ExitReason, reason)
    match reason:
        case ExitReason.SYNC:
            return f"{name} ESR={field('esr'):#x} {decode_esr(field('esr'))} IPA={field('hpfar') >> 4 << 12:#x}"
        case ExitReason.PSCI:
            return f"{name} {field('gprs'):#x}"
        case ExitReason.RIPAS_CHANGE:
            return f"{name} [{field('ripas_base'):#x}, {field('ripas_top'):#x}) {name_of(Ripas, field('ripas_value'))}"
        case ExitReason.HOST_CALL:
            return f"{name} imm={field('imm'):#x}"
    return str(name)

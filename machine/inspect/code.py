# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers with their bits named, code, and backtraces by frame pointers (AAPCS64, 6.4.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridge.arch.disassembly import disassemble
from bridge.arch.esr import decode_esr
from bridge.arch.pstate import describe_pstate
from bridge.arch.registers import named
from machine.inspect.contexts import Context, contexts, current, rec_core, register

if TYPE_CHECKING:
    from machine.machine import Machine

FRAMES = 64
LINES = 256
_ENTRY = re.compile(r"<[^+>]+(\+0x[48c])?>")  # a function whose frame record is not made yet
FETCH = 2
EL1 = ("SCTLR_EL1", "TCR_EL1", "TTBR0_EL1", "TTBR1_EL1", "MAIR_EL1", "VBAR_EL1", "ESR_EL1", "FAR_EL1", "ELR_EL1")
EL1_REST = ("SPSR_EL1", "SP_EL0", "CPACR_EL1", "TPIDR_EL0", "TPIDR_EL1", "CNTV_CTL_EL0", "CNTV_CVAL_EL0")
EL2 = ("HCR_EL2", "SCTLR_EL2", "TCR_EL2", "TTBR0_EL2", "VTTBR_EL2", "VTCR_EL2", "VBAR_EL2", "ESR_EL2", "FAR_EL2")
EL2_REST = ("HPFAR_EL2", "ELR_EL2", "SPSR_EL2", "CPTR_EL2")
SYSTEM = {1: EL1 + EL1_REST, 2: EL1 + EL1_REST + EL2 + EL2_REST}


def register_text(name: str, value: int) -> str:
    """`ESR_EL1 = 0x96000010 EC=… DFSC=…`."""
    if name.startswith("ESR_"):
        return f"{name} = {value:#x} {decode_esr(value)}"
    fields = named(name)
    return f"{name} = {value:#x}" + (f" {fields(value)}" if fields is not None else "")


def symbol(machine: Machine, context: Context, pc: int, *, line: bool = False) -> str:
    """An address with its symbol, and its source line if that is asked for."""
    if context.core is None:
        return f"{pc:#x}"
    return machine.symbols.place(context.core, pc) if line else machine.symbols.symbolise(context.core, pc)


def registers(machine: Machine, context: Context) -> Iterator[str]:
    """General registers, PSTATE, and the system registers of the levels that the context has."""
    x, sp, pc, pstate = context.general()
    yield f"{context.title}"
    yield f"  PC {symbol(machine, context, pc, line=True)}  SP {sp:#x}  PSTATE {describe_pstate(pstate)}"
    for at in range(0, 31, 4):
        yield "  " + "  ".join(f"X{n:<2} {x[n]:#018x}" for n in range(at, min(at + 4, 31)))
    if context.core is not None:
        highest = machine.config.boot.el if context.key[0] == "pe" else 1
        for name in SYSTEM[highest]:
            value = register(context.core, name)
            where = f" {symbol(machine, context, value)}" if name.startswith(("VBAR_", "ELR_")) and value else ""
            yield f"  {register_text(name, value)}{where.replace(f' {value:#x}', '', 1)}"


def read_virtual(machine: Machine, context: Context, va: int, size: int) -> bytes | None:
    """Memory in the context's present translation; None where a byte of it cannot be read."""
    if context.core is None:
        return None
    out = bytearray()
    while size:
        va &= (1 << 64) - 1
        part = min(size, 4096 - (va & 0xFFF))
        at = context.core.translate(va) or context.core.translate(va, FETCH)
        if at is None or not machine.memory.is_ram(at[0], part):
            return None
        out += machine.memory.read(at[0], part)
        va += part
        size -= part
    return bytes(out)


def code(machine: Machine, context: Context, va: int | None, count: int) -> Iterator[str]:
    """Instructions from a VA, or around the PC (marked)."""
    pc = context.general()[2]
    first = pc - 16 if va is None else va & ~3
    for at in range(first, first + 4 * min(max(count, 1), LINES), 4):
        word = read_virtual(machine, context, at, 4)
        text = "not readable" if word is None else disassemble(int.from_bytes(word, "little"), at)
        yield f"{'=>' if at == pc else '  '} {symbol(machine, context, at)}: {text}"


def _unsigned(address: int) -> int:
    """A return address without its pointer authentication code, and the tag: bit 55 says which half it is of."""
    return address | 0xFFFF << 48 if address >> 55 & 1 else address & (1 << 48) - 1


def backtrace(machine: Machine, context: Context) -> Iterator[str]:
    """Return addresses up the chain of frame records."""
    x, _, pc, _ = context.general()
    yield f"#0 {symbol(machine, context, pc, line=True)}"
    link = _unsigned(x[30])
    chain = list(_returns(machine, context, x[29]))
    # A function that is just being entered has no frame record of its own yet.
    if context.core is not None and _ENTRY.search(symbol(machine, context, pc)) and link and chain[:1] != [link]:
        chain.insert(0, link)
    for number, back in enumerate(chain[:FRAMES], 1):
        # The line is that of the call, not of what comes after it.
        line = machine.symbols.source(context.core, back - 4) if context.core is not None else None
        yield f"#{number} {symbol(machine, context, back)}{f' ({line})' if line is not None else ''}"


def _returns(machine: Machine, context: Context, frame: int) -> Iterator[int]:
    """The return addresses in the chain of frame records."""
    below = 0
    for _ in range(FRAMES):
        record = read_virtual(machine, context, frame, 16) if frame and not frame & 7 else None
        back = 0 if record is None else _unsigned(int.from_bytes(record[8:], "little"))
        if record is None or frame <= below or not back:
            return
        yield back
        frame, below = int.from_bytes(record[:8], "little"), frame


def world(machine: Machine) -> Iterator[str]:
    """Virtual time, each PE and what it runs, each context and where it is."""
    yield f"{machine.board.insns:,} instructions, {machine.virtual_ns / 1e6:.6f} ms of virtual time"
    for pe in machine.pes:
        turn = "" if pe is not machine.pe else ", its turn"
        yield f"PE {pe.index}: {pe.mode.value}{' (waiting)' if pe.waiting else ''}{turn}"
    running = current(machine)
    for context in contexts(machine):
        here = "* " if running is not None and context.key == running.key else "  "
        pc = context.general()[2]
        never = "" if context.core is not None else ", has not run"
        yield f"{here}{context.title}: {symbol(machine, context, pc)}{never}"


def rec(machine: Machine, context: Context) -> Iterator[str]:
    """A REC: registers, list registers, what it waits for."""
    one = context.rec
    if one is None:
        yield f"{context.title} is no REC"
        return
    yield from registers(machine, context)
    yield f"  {one.state}, {'runnable' if one.runnable else 'not runnable'}, REC granule {one.pa:#x}"
    if context.core is not None:
        state = machine.interrupts.virtual(context.core)
        for name, value in (("HCR", state.hcr), ("VMCR", state.vmcr), ("MISR", state.misr)):
            yield f"  {register_text(f'ICH_{name}_EL2', value)}"
        for number, lr in enumerate(state.lrs):
            if lr:
                yield f"  {register_text(f'ICH_LR{number}_EL2', lr)}"
    if one.psci is not None:
        yield f"  waits for PSCI_COMPLETE: {one.psci.call.name} of REC {one.psci.target}"
    if one.host_call is not None:
        yield f"  host call under way, structure at IPA {one.host_call:#x}"
    if one.ripas_top:
        yield f"  RIPAS change asked for: [{one.ripas_base:#x}, {one.ripas_top:#x}), done to {one.ripas_addr:#x}"
    if rec_core(one).present is None:
        yield "  it has not run"

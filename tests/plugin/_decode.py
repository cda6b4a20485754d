"""Load/store decoding through the C unit, with register values that make every operand tell apart."""

from __future__ import annotations

from dataclasses import dataclass

from tests.plugin._units import units

SP, PC = 0x0000_7FFF_1234_5670, 0x0000_0040_0010_0000
MASK = (1 << 64) - 1
# X0..X30: distinct in the low and the high word, some with the top bit of a word set.
REGS = [((0x9E37_79B9_7F4A_7C15 * (n + 1)) & MASK) & ~0xF for n in range(31)]


@dataclass(frozen=True)
class Ldst:
    """``struct cca_ldst``."""

    is_ldst: int
    isv: int
    write: int
    atomic: int
    sas: int
    sse: int
    srt: int
    sf: int
    ar: int
    unpriv: int
    exclusive: int
    prefetch: int
    simd: int
    dc_zva: int
    addr_known: int
    bytes: int
    addr: int


def decode(insn: int, *, regs: list[int] = REGS, sp: int = SP, pc: int = PC) -> Ldst:
    u = units()
    out = u.ffi.new("struct cca_ldst *")
    u.lib.cca_decode_ldst(insn, [*regs, 0], sp, pc, out)
    return Ldst(*(getattr(out, name) for name in Ldst.__dataclass_fields__))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions as text: capstone's, with system registers by the names of `sysregs`."""

from __future__ import annotations

from bridge.arch.sysregs import sysreg_name

_MRS, _MSR = 0xD5300000, 0xD5100000
_MOVE_MASK = 0xFFF00000


def disassemble(word: int, address: int) -> str:
    """One A64 instruction; `.word 0x…` where it is none."""
    if word & _MOVE_MASK in (_MRS, _MSR):
        name = sysreg_name(word >> 5 & 0xFFFF).lower()
        register = "xzr" if word & 31 == 31 else f"x{word & 31}"
        return f"mrs {register}, {name}" if word & _MOVE_MASK == _MRS else f"msr {name}, {register}"
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
    for _, _, mnemonic, operands in engine.disasm_lite(word.to_bytes(4, "little"), address):
        return f"{mnemonic} {operands}".rstrip()
    return f".word {word:#010x}"

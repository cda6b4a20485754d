# SPDX-License-Identifier: GPL-2.0-or-later
"""C headers for firmware, from the declarations (freestanding aarch64 C11)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterable

from rmm.abi import bits, structs, values
from rmm.abi.bits import Register
from rmm.abi.call import Call
from rmm.abi.calls import PSCI, RSI
from rmm.abi.layout import Struct
from rmm.abi.values import Values, members

_HEAD = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* Generated from the declarations in rmm/abi: do not edit. */\n#pragma once\n\n"

_SMCCC = """#include <stddef.h>
#include <stdint.h>

/* X0..X17 of one call, in and out (SMCCC 1.2). */
struct smccc_regs {
    uint64_t x[18];
};

static inline void smccc_smc(struct smccc_regs *r)
{
    register uint64_t x0 __asm__("x0") = r->x[0];
    register uint64_t x1 __asm__("x1") = r->x[1];
    register uint64_t x2 __asm__("x2") = r->x[2];
    register uint64_t x3 __asm__("x3") = r->x[3];
    register uint64_t x4 __asm__("x4") = r->x[4];
    register uint64_t x5 __asm__("x5") = r->x[5];
    register uint64_t x6 __asm__("x6") = r->x[6];
    register uint64_t x7 __asm__("x7") = r->x[7];
    register uint64_t x8 __asm__("x8") = r->x[8];
    register uint64_t x9 __asm__("x9") = r->x[9];
    register uint64_t x10 __asm__("x10") = r->x[10];
    register uint64_t x11 __asm__("x11") = r->x[11];

    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6), "+r"(x7), "+r"(x8),
                       "+r"(x9), "+r"(x10), "+r"(x11)
                     :
                     : "memory", "x12", "x13", "x14", "x15", "x16", "x17");
    r->x[0] = x0;
    r->x[1] = x1;
    r->x[2] = x2;
    r->x[3] = x3;
    r->x[4] = x4;
    r->x[5] = x5;
    r->x[6] = x6;
    r->x[7] = x7;
    r->x[8] = x8;
    r->x[9] = x9;
    r->x[10] = x10;
    r->x[11] = x11;
}
"""


def _enum(prefix: str, numbers: type[Values], *, signed: bool = False) -> str:
    lines = []
    for name, value in members(numbers).items():
        text = f"({value}L)" if signed else str(value)
        lines.append(f"#define {prefix}_{name} {text}\n")
    return "".join(lines)


def _flags(register: Register) -> str:
    return "".join(
        f"#define {register.c_name}_{field.name} {1 << field.lo:#x}UL\n"
        if field.hi == field.lo
        else f"#define {register.c_name}_{field.name}_SHIFT {field.lo}\n"
        f"#define {register.c_name}_{field.name}_WIDTH {field.hi - field.lo + 1}\n"
        for field in register.fields
    )


def _arrays(values: Iterable[str]) -> list[tuple[str, int]]:
    """(name, count): `value0` .. `value7` are one array."""
    out: list[tuple[str, int]] = []
    for name in values:
        stem = name.rstrip("0123456789")
        if stem != name and out and out[-1][0] == stem:
            out[-1] = (stem, out[-1][1] + 1)
        else:
            out.append((stem if stem != name else name, 1))
    return out


def _wrapper(call: Call) -> str:
    inputs = _arrays(name for name, _ in call.inputs)
    outputs = _arrays(name for name, _ in call.outputs)
    parameters = [f"uint64_t {n}" if c == 1 else f"const uint64_t {n}[{c}]" for n, c in inputs]
    parameters += [f"uint64_t *out_{n}" if c == 1 else f"uint64_t out_{n}[{c}]" for n, c in outputs]
    words = [n if c == 1 else f"{n}[{i}]" for n, c in inputs for i in range(c)]
    lines = [
        f"#define SMC_{call.name} {call.fid:#x}UL",
        f"static inline uint64_t {call.name.lower()}({', '.join(parameters) or 'void'})",
        "{",
        f"    struct smccc_regs r = {{.x = {{{', '.join([f'SMC_{call.name}', *words])}}}}};",
        "    smccc_smc(&r);",
    ]
    number = 1
    for name, count in outputs:
        lines.append(f"    if (out_{name}) {{")
        for i in range(count):
            target = f"*out_{name}" if count == 1 else f"out_{name}[{i}]"
            lines.append(f"        {target} = r.x[{number}];")
            number += 1
        lines.append("    }")
    lines.append("    return r.x[0];\n}\n")
    return "\n".join(lines) + "\n"


def _structs(chosen: Iterable[Struct]) -> str:
    return "\n".join(struct.c_text() for struct in chosen) + "\n"


def rmi_calls() -> list[Call]:
    """Every RMI call of 1.0, by function id."""
    from rmm.abi.calls import REC_ENTER
    from rmm.rmi import COMMANDS

    return sorted([*(command.call for command in COMMANDS), REC_ENTER], key=lambda call: call.fid)


def rmi_header() -> str:
    return (
        _HEAD
        + '#include "smccc.h"\n\n#define RMI_REVISION 0x10000UL\n'
        + "#define RMI_STATUS(x) ((x) & 0xff)\n#define RMI_INDEX(x) (((x) >> 8) & 0xff)\n"
        + _enum("RMI", values.RmiStatus)
        + _enum("RMI_EXIT", values.ExitReason)
        + _enum("RMI", values.Hipas)
        + _enum("RMI_RIPAS", values.Ripas)
        + _enum("RMI_HASH", values.HashAlgorithm)
        + _enum("RMI", values.DataMeasure)
        + "".join(map(_flags, (bits.REALM_FLAGS, bits.REC_CREATE_FLAGS, bits.REC_ENTER_FLAGS, bits.FEATURE_REGISTER_0)))
        + "\n"
        + _structs((structs.REALM_PARAMS, structs.REC_PARAMS, structs.REC_ENTER, structs.REC_EXIT))
        + "struct rmi_rec_run {\n    struct rmi_rec_enter enter;\n    struct rmi_rec_exit exit;\n};\n\n"
        + "".join(map(_wrapper, rmi_calls()))
    )


def rsi_header() -> str:
    return (
        _HEAD
        + '#include "smccc.h"\n\n#define RSI_REVISION 0x10000UL\n'
        + _enum("RSI", values.RsiStatus)
        + _enum("RSI_RIPAS", values.Ripas)
        + _enum("RSI_HASH", values.HashAlgorithm)
        + _enum("RSI", values.Response)
        + _enum("RSI", values.RipasChangeFlags)
        + "\n"
        + _structs((structs.REALM_CONFIG, structs.HOST_CALL))
        + "".join(map(_wrapper, RSI.values()))
    )


def psci_header() -> str:
    return (
        _HEAD
        + '#include "smccc.h"\n\n'
        + _enum("PSCI", values.PsciStatus, signed=True)
        + _enum("PSCI_AFFINITY", values.AffinityState)
        + "\n"
        + "".join(map(_wrapper, PSCI.values()))
    )


def smccc_header() -> str:
    return _HEAD + _SMCCC


def headers() -> dict[str, str]:
    """{file name: text}."""
    return {
        "smccc.h": smccc_header(),
        "rmi.h": rmi_header(),
        "rsi.h": rsi_header(),
        "psci.h": psci_header(),
    }


def main(arguments: list[str]) -> int:
    directory = Path(arguments[0])
    for name, text in headers().items():
        (directory / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

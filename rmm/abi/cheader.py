# SPDX-License-Identifier: GPL-2.0-or-later
"""C headers for freestanding aarch64 firmware, generated from the declarations.

python -m rmm.abi.cheader OUTDIR    writes smccc.h, rmi.h, rsi.h, psci.h
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rmm.abi import bits, psci, rmi, rsi, structs, values
from rmm.abi.bits import Register
from rmm.abi.call import Call
from rmm.abi.layout import Struct
from rmm.abi.values import Values, members

_PREAMBLE = """\
/* SPDX-License-Identifier: GPL-2.0-or-later */
/* {title}.  Generated from the ABI declarations: do not edit. */
#ifndef CCABRIDGE_{guard}_H
#define CCABRIDGE_{guard}_H

{includes}
"""

_SMCCC = """\
/* X0..X17 of a call and of its result (SMCCC 1.2). */
struct smccc_regs {
    uint64_t x[18];
};

/* One SMC with every register that the convention knows: X0..X17 in, X0..X17 out. */
static inline void smccc_smc(struct smccc_regs *r)
{
    __asm__ volatile(
        "ldp x0, x1, [%0]\\n\\t"
        "ldp x2, x3, [%0, #16]\\n\\t"
        "ldp x4, x5, [%0, #32]\\n\\t"
        "ldp x6, x7, [%0, #48]\\n\\t"
        "ldp x8, x9, [%0, #64]\\n\\t"
        "ldp x10, x11, [%0, #80]\\n\\t"
        "ldp x12, x13, [%0, #96]\\n\\t"
        "ldp x14, x15, [%0, #112]\\n\\t"
        "ldp x16, x17, [%0, #128]\\n\\t"
        "smc #0\\n\\t"
        "stp x0, x1, [%0]\\n\\t"
        "stp x2, x3, [%0, #16]\\n\\t"
        "stp x4, x5, [%0, #32]\\n\\t"
        "stp x6, x7, [%0, #48]\\n\\t"
        "stp x8, x9, [%0, #64]\\n\\t"
        "stp x10, x11, [%0, #80]\\n\\t"
        "stp x12, x13, [%0, #96]\\n\\t"
        "stp x14, x15, [%0, #112]\\n\\t"
        "stp x16, x17, [%0, #128]\\n\\t"
        :
        : "r"(r->x)
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
          "x16", "x17", "memory", "cc");
}

/* A call with `n` arguments (at most 17) in X1 upwards, the rest zero; the result's registers. */
static inline struct smccc_regs smccc_call(uint64_t fid, const uint64_t *args, unsigned n)
{
    struct smccc_regs r;
    r.x[0] = fid;
    for (unsigned i = 1; i < 18; i++) {
        r.x[i] = i <= n ? args[i - 1] : 0;
    }
    smccc_smc(&r);
    return r;
}

/* A call with X0..X6 in and out, in registers throughout: r[0] is the function id, then the status. */
static inline void smc7(uint64_t r[7])
{
    register uint64_t x0 __asm__("x0") = r[0];
    register uint64_t x1 __asm__("x1") = r[1];
    register uint64_t x2 __asm__("x2") = r[2];
    register uint64_t x3 __asm__("x3") = r[3];
    register uint64_t x4 __asm__("x4") = r[4];
    register uint64_t x5 __asm__("x5") = r[5];
    register uint64_t x6 __asm__("x6") = r[6];
    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6)
                     :
                     : "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory", "cc");
    r[0] = x0;
    r[1] = x1;
    r[2] = x2;
    r[3] = x3;
    r[4] = x4;
    r[5] = x5;
    r[6] = x6;
}

/* A call of up to four arguments; X0 of the result. */
static inline uint64_t smc4(uint64_t fid, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    register uint64_t x0 __asm__("x0") = fid;
    register uint64_t x1 __asm__("x1") = a1;
    register uint64_t x2 __asm__("x2") = a2;
    register uint64_t x3 __asm__("x3") = a3;
    register uint64_t x4 __asm__("x4") = a4;
    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4)
                     :
                     : "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
                       "memory", "cc");
    return x0;
}
"""


def _header(name: str, title: str, body: Iterable[str], *, includes: str = '#include "smccc.h"') -> str:
    top = _PREAMBLE.format(title=title, guard=name.upper(), includes=includes)
    return top + "\n" + "\n".join(body) + "\n#endif\n"


def _define(name: str, value: int) -> str:
    return f"#define {name} ({value})" if value < 0 else f"#define {name} {value:#x}"


def _enum(prefix: str, group: type[Values]) -> str:
    return "\n".join(_define(f"{prefix}{name}", value) for name, value in members(group).items()) + "\n"


def _register(register: Register) -> str:
    """One macro for each single bit, _SHIFT and _MASK for each wider field."""
    lines = []
    for field in register.fields:
        name = f"{register.c_name}_{field.name}"
        if field.hi == field.lo:
            lines.append(f"#define {name} {field.mask:#x}ULL")
        else:
            lines.append(f"#define {name}_SHIFT {field.lo}")
            lines.append(f"#define {name}_MASK {field.mask:#x}ULL")
    return "\n".join(lines) + "\n"


def _fids(calls: Sequence[Call]) -> str:
    lines = []
    for call in calls:
        lines.append(f"#define SMC_{call.name} {call.fid:#x}ULL")
        if call.fid32 is not None:
            lines.append(f"#define SMC_{call.name}_32 {call.fid32:#x}ULL")
    return "\n".join(lines) + "\n"


def _wrapper(call: Call, returns: str = "uint64_t") -> str:
    """A typed inline function: inputs by value (several words: by pointer), outputs by pointers that may be NULL."""
    outputs = call.outputs if call.status else ()
    wide = call.words > 6 or sum(value.count for value in outputs) > 6
    taken = {value.name for value in call.inputs}
    names = [f"out_{value.name}" if value.name in taken else value.name for value in outputs]
    parameters = [f"{v.type.c} {v.name}" if v.count == 1 else f"const uint64_t *{v.name}" for v in call.inputs]
    parameters += [f"uint64_t *{name}" for name in names]
    cells = [f"SMC_{call.name}"]
    for value in call.inputs:
        cells += [value.name] if value.count == 1 else [f"{value.name}[{i}]" for i in range(value.count)]
        if value.type.signed:
            cells[-1] = f"(uint64_t){cells[-1]}"
    lines = [
        f"/* {call.doc}  rmm-abi.md {call.section} */",
        f"static inline {returns} {call.name.lower()}({', '.join(parameters) or 'void'})",
        "{",
        f"    struct smccc_regs r = {{{{{', '.join(cells)}}}}};"
        if wide
        else f"    uint64_t r[7] = {{{', '.join(cells)}}};",
        "    smccc_smc(&r);" if wide else "    smc7(r);",
    ]
    x = "r.x" if wide else "r"
    at = 1
    for value, name in zip(outputs, names, strict=True):
        lines.append(f"    if ({name}) {{")
        lines += [f"        {name}[{i}] = {x}[{at + i}];" for i in range(value.count)]
        lines.append("    }")
        at += value.count
    lines += [f"    return ({returns}){x}[0];", "}"]
    return "\n".join(lines) + "\n"


def _structs(chosen: Sequence[Struct]) -> list[str]:
    return [f"/* {struct.name}: rmm-abi.md {struct.doc} */\n{struct.c_text()}" for struct in chosen]


_REC_RUN = f"""\
/* RmiRecRun: what REC_ENTER reads, then what it writes. */
struct rmi_rec_run {{
    struct rmi_rec_enter enter;
    struct rmi_rec_exit exit;
}};
_Static_assert(sizeof(struct rmi_rec_run) == {structs.REC_ENTER.size + structs.REC_EXIT.size:#x}, "struct rmi_rec_run");
_Static_assert(offsetof(struct rmi_rec_run, exit) == {structs.REC_ENTER.size:#x}, "rmi_rec_run.exit");
"""


def smccc_header() -> str:
    """smccc.h: the calling convention, and SMCCC_VERSION."""
    body = [
        _SMCCC,
        _fids((psci.SMCCC_VERSION,)),
        "#define SMC_UNKNOWN 0xffffffffffffffffULL\n",
        _wrapper(psci.SMCCC_VERSION, "int64_t"),
    ]
    return _header("smccc", "The SMC calling convention", body, includes="#include <stddef.h>\n#include <stdint.h>")


def rmi_header() -> str:
    """rmi.h: what a host needs."""
    body = [
        _fids(rmi.CALLS),
        _define("RMI_REVISION", rmi.REVISION),
        "#define RMI_STATUS(x) ((unsigned)((x) & 0xff))\n#define RMI_INDEX(x) ((unsigned)(((x) >> 8) & 0xff))",
        _enum("RMI_", values.RmiStatus),
        _enum("RMI_EXIT_", values.ExitReason),
        _enum("RMI_", values.Hipas),
        _enum("RMI_RIPAS_", values.Ripas),
        _enum("RMI_", values.DataMeasure),
        _enum("RMI_HASH_", values.HashAlgorithm),
        _enum("RMI_", values.Response),
        _enum("RMI_PMU_OVERFLOW_", values.PmuOverflow),
        _register(bits.REALM_FLAGS),
        _register(bits.REC_CREATE_FLAGS),
        _register(bits.REC_ENTER_FLAGS),
        _register(bits.FEATURE_REGISTER_0),
        _register(bits.UNPROTECTED_DESC),
        _register(bits.REC_MPIDR),
        _register(bits.GICV3_HCR),
        _register(bits.GICV3_LR),
        *_structs((structs.REALM_PARAMS, structs.REC_PARAMS, structs.REC_ENTER, structs.REC_EXIT)),
        _REC_RUN,
        *(_wrapper(call) for call in rmi.CALLS),
    ]
    return _header("rmi", "The Realm Management Interface, RMM 1.0-rel0", body)


def rsi_header() -> str:
    """rsi.h: what a realm needs."""
    body = [
        _fids(rsi.CALLS),
        _define("RSI_REVISION", rsi.REVISION),
        _enum("RSI_", values.RsiStatus),
        _enum("RSI_RIPAS_", values.Ripas),
        _enum("RSI_", values.RipasChangeFlags),
        _enum("RSI_HASH_", values.HashAlgorithm),
        _enum("RSI_", values.Response),
        *_structs((structs.REALM_CONFIG, structs.HOST_CALL)),
        *(_wrapper(call) for call in rsi.CALLS),
    ]
    return _header("rsi", "The Realm Services Interface, RMM 1.0-rel0", body)


def psci_header() -> str:
    """psci.h: power state calls of a realm, and of the Normal world."""
    body = [
        _fids(psci.CALLS),
        _define("PSCI_VERSION_1_1", psci.VERSION_1_1),
        _enum("PSCI_", values.PsciStatus),
        _enum("PSCI_AFFINITY_", values.AffinityState),
        *(_wrapper(call, "int64_t") for call in psci.CALLS),
    ]
    return _header("psci", "PSCI 1.1", body)


def headers() -> dict[str, str]:
    """{file name: text} of every header."""
    return {"smccc.h": smccc_header(), "rmi.h": rmi_header(), "rsi.h": rsi_header(), "psci.h": psci_header()}


def main(arguments: Sequence[str]) -> int:
    from pathlib import Path

    if len(arguments) != 1:
        print("usage: python -m rmm.abi.cheader OUTDIR")
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in headers().items():
        (directory / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))

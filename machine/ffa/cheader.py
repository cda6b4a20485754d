# SPDX-License-Identifier: GPL-2.0-or-later
"""ffa.h: FF-A and the monitor's SiP calls for firmware of either world, generated from the declarations."""

from __future__ import annotations

from machine.ffa import abi, sip
from rmm.abi.call import Call
from rmm.abi.cheader import _define, _enum, _fids, _header
from rmm.abi.values import El3Status

_INFO = """\
/* Partition information descriptor (DEN0077A chapter 6). */
struct ffa_partition_info {
    uint16_t id;
    uint16_t contexts;
    uint32_t properties;
    uint8_t uuid[16];
};
_Static_assert(sizeof(struct ffa_partition_info) == 24, "struct ffa_partition_info");

/* A call with X1..X7; the result's registers. */
static inline struct smccc_regs ffa_call(uint64_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, uint64_t x5,
                                         uint64_t x6, uint64_t x7)
{
    struct smccc_regs r = {{fid, x1, x2, x3, x4, x5, x6, x7}};
    smccc_smc(&r);
    return r;
}

/* W2 of FFA_ERROR, 0 for any other result. */
static inline int32_t ffa_error(const struct smccc_regs *r)
{
    return (uint32_t)r->x[0] == SMC_FFA_ERROR ? (int32_t)r->x[2] : 0;
}
"""


def _sip(call: Call) -> str:
    arguments = ", ".join(f"{value.type.c} {value.name}" for value in call.inputs)
    names = [value.name for value in call.inputs]
    names += ["0"] * (4 - len(names))
    return (
        f"/* {call.doc} */\n"
        f"static inline int64_t {call.name.lower()}({arguments})\n"
        "{\n"
        f"    return (int64_t)smc4(SMC_{call.name}, {', '.join(names)});\n"
        "}\n"
    )


def ffa_header() -> str:
    """The text of ffa.h."""
    body = [
        _fids([call for call in abi.CALLS if call.supported]),
        _enum("FFA_", abi.FfaStatus),
        _enum("FFA_INFO_", abi.InfoFlags),
        _enum("FFA_PARTITION_", abi.Properties),
        _define("FFA_VERSION_1_1", abi.VERSION_1_1),
        _define("FFA_HYPERVISOR_ID", abi.HYPERVISOR_ID),
        _define("FFA_SPMC_ID", abi.SPMC_ID) + "\n",
        _INFO,
        _fids(sip.CALLS),
        _define("SIP_OK", El3Status.OK),
        _define("SIP_BAD_ADDR", El3Status.BAD_ADDR),
        _define("SIP_BAD_PAS", El3Status.BAD_PAS) + "\n",
        *(_sip(call) for call in sip.CALLS),
    ]
    return _header("ffa", "FF-A 1.1, and the monitor's calls for the Secure world", body)

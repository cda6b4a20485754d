# SPDX-License-Identifier: GPL-2.0-or-later
"""Declarations of the RMM's interfaces.  Each call, structure and value set is stated once, here.

Dispatch, argument decoding, trace lines, C headers, documentation and test strategies derive from them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rmm.abi.call import Call

SVE_HINT = 1 << 16


@cache
def calls_by_fid() -> Mapping[int, Call]:
    """Every declared call, supported or not, by each of its function ids."""
    from rmm.abi import el3, later, psci, rmi, rsi

    table: dict[int, Call] = {}
    every = (rmi.CALLS, rsi.CALLS, psci.CALLS, (psci.SMCCC_VERSION,), el3.CALLS, later.RMI_CALLS, later.RSI_CALLS)
    for call in (call for group in every for call in group):
        for fid in (call.fid, call.fid32):
            if fid is not None:
                if fid in table:
                    raise ValueError(f"{call.name}: function id {fid:#x} is {table[fid].name}'s")
                table[fid] = call
    return table


def by_fid(fid: int) -> Call | None:
    """The call with a function id (W0; the SVE hint is ignored), or None where none is declared."""
    return calls_by_fid().get(fid & 0xFFFFFFFF & ~SVE_HINT)


def by_name(name: str) -> Call | None:
    """The call with a name such as "RMI_RTT_CREATE", in either case."""
    wanted = name.upper()
    return next((call for call in calls_by_fid().values() if call.name == wanted), None)

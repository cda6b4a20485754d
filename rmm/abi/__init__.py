# SPDX-License-Identifier: GPL-2.0-or-later
"""Declarations of the RMM's interfaces.  Each call, structure and value set is stated once, here.

Dispatch, argument decoding, trace lines, C headers, documentation and test strategies derive from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmm.abi.call import Call


def by_fid(fid: int) -> Call | None:
    """The declaration of a function id that the monitor or a realm may see; None for an unknown one."""
    from rmm.abi.calls import PSCI, RSI

    return PSCI.get(fid) or RSI.get(fid)

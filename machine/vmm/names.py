# SPDX-License-Identifier: GPL-2.0-or-later
"""The exits that a realm made last, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.arch.esr import decode_esr
from rmm.abi.structs import REC_EXIT
from rmm.abi.values import ExitReason, Ripas, name_of


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

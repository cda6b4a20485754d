# SPDX-License-Identifier: GPL-2.0-or-later
"""Host calls of the project's own payloads (docs/payload.md), answered as the host firmware answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from machine.end import GUEST_EXIT, End
from machine.payload_abi import HOST_CALL_UNKNOWN, HOST_CALLS, PEEK, PUTS_MAX
from machine.vmm.memory import DATA, EMPTY, NONE, STATE
from rmm.abi.values import RmiStatus

if TYPE_CHECKING:
    from machine.vmm.realm import Vmm

GRANULE = 4096
_FNV_OFFSET, _FNV_PRIME = 0xCBF2_9CE4_8422_2325, 0x100_0000_01B3
MASK64 = (1 << 64) - 1


def fnv1a(data: bytes) -> int:
    """64-bit FNV-1a."""
    value = _FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & MASK64
    return value


class HostCalls:
    """puts: where text goes.  exits: times that the realm left for a fault at a page that the host cannot mend."""

    def __init__(self, vmm: Vmm, puts: Callable[[bytes], None], exits: Callable[[int], int]) -> None:
        self._vmm = vmm
        self._puts = puts
        self._exits = exits
        calls = {
            "NOP": lambda gprs: None,
            "PUTS": self._write,
            "EXIT": self._exit,
            "YIELD": lambda gprs: None,
            "PEEK": self._peek,
            "DESTROY": self._destroy,
            "POPULATE": self._populate,
            "EXITS": self._count,
            "READ_ONLY": self._read_only,
        }
        self._calls = {HOST_CALLS[name][0]: call for name, call in calls.items()}

    def answer(self, imm: int, gprs: list[int]) -> None:
        """One host call: `gprs` come back changed.  End where the payload ends."""
        call = self._calls.get(imm)
        if call is None:
            gprs[0] = HOST_CALL_UNKNOWN
        else:
            call(gprs)

    def _write(self, gprs: list[int]) -> None:
        text = b"".join(word.to_bytes(8, "little") for word in gprs[1:])
        self._puts(text[: min(gprs[0], PUTS_MAX)])

    def _exit(self, gprs: list[int]) -> None:
        code = gprs[0] & 0xFF
        raise End(GUEST_EXIT, f"realm `{self._vmm.name}` ended with {code}", code=code)

    def _peek(self, gprs: list[int]) -> None:
        memory = self._vmm.memory
        i = memory.index(gprs[0])
        entry = NONE if i is None else memory.entry(i)
        gprs[1:4] = 0, 0, 0
        if entry & STATE == DATA:
            gprs[0] = PEEK["PROTECTED"][0]
        elif entry in (NONE, EMPTY):
            gprs[0] = PEEK["NONE"][0]
        else:
            page = self._vmm.door.read(entry & ~STATE, GRANULE)
            gprs[:4] = PEEK["SHARED"][0], GRANULE - page.count(0), fnv1a(page), int.from_bytes(page[:8], "little")

    def _destroy(self, gprs: list[int]) -> None:
        i = self._vmm.memory.index(gprs[0])
        gprs[0] = RmiStatus.ERROR_INPUT if i is None else self._vmm.memory.drop(i)

    def _populate(self, gprs: list[int]) -> None:
        memory = self._vmm.memory
        i = memory.index(gprs[0])
        if i is None or memory.entry(i) & STATE not in (NONE, DATA):
            gprs[0] = RmiStatus.ERROR_INPUT
        else:
            gprs[0] = memory.create_unknown(i)

    def _count(self, gprs: list[int]) -> None:
        gprs[0] = self._exits(gprs[0] & -GRANULE)

    def _read_only(self, gprs: list[int]) -> None:
        memory = self._vmm.memory
        i = memory.index(gprs[0])
        if i is None or not gprs[0] & memory.shared_bit or memory.pages[i] & STATE in (NONE, DATA):
            gprs[0] = RmiStatus.ERROR_INPUT
        else:
            memory.unmap(i)
            memory.map(i, writable=False)
            gprs[0] = RmiStatus.SUCCESS

# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes over the guest's link as a capture file, stamped with virtual time (libpcap format, nanoseconds)."""

from __future__ import annotations

import struct
from typing import Final

from bridge.errors import UserError
from machine.vmm.ports import Clock

LIMIT: Final = 1 << 30
"""Bytes of a capture: a guest that sends for ever must not fill the host's disk."""

_SNAPLEN: Final = 1 << 18
_ETHERNET: Final = 1


class Pcap:
    """path: of the file, which is made anew.  UserError when that cannot be."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._clock = clock
        self._size = 24
        try:
            self._file = open(path, "wb")  # noqa: SIM115
            self._file.write(struct.pack("<IHHiIII", 0xA1B2_3C4D, 2, 4, 0, 0, _SNAPLEN, _ETHERNET))
        except (OSError, ValueError) as error:
            raise UserError(f"capture {path}: {getattr(error, 'strerror', None) or error}") from None

    def frame(self, data: bytes) -> None:
        """One frame, of either direction; none beyond LIMIT.  OSError: the host's disk is full."""
        self._size += 16 + len(data)
        if self._size > LIMIT:
            return
        seconds, ns = divmod(self._clock.ns, 1_000_000_000)
        self._file.write(struct.pack("<IIII", seconds & 0xFFFF_FFFF, ns, len(data), len(data)) + data)

    def close(self) -> None:
        self._file.close()

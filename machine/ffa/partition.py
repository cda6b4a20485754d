# SPDX-License-Identifier: GPL-2.0-or-later
"""What the SPMC remembers: FF-A endpoints and the one partition's execution context."""

from __future__ import annotations

import struct
from enum import Enum

from bridge.pas import PAS
from machine.ffa.abi import NIL_UUID, PARTITION_ID, VERSION_1_0, VERSION_1_1, Properties

PAGE = 4096


class State(Enum):
    """Of the partition's execution context (DEN0077A chapter 4)."""

    RUNNING = "running"
    WAITING = "waiting"
    BLOCKED = "blocked"
    PREEMPTED = "preempted"
    ABORTED = "aborted"


class Model(Enum):
    """Runtime model: what the partition was given the PE for (chapter 8)."""

    INIT = "initialisation"
    DIRECT = "direct request"
    RUN = "FFA_RUN"
    INTERRUPT = "secure interrupt"


class Endpoint:
    """One caller of FF-A: its version and its RX/TX buffers (§13.2, chapter 7).

    pas: where its buffers must lie.  tx, rx: PA; pages: of each buffer, 0 without buffers.
    rx_full: the caller owns the RX buffer.  settled: calls other than FFA_VERSION have been made.
    """

    __slots__ = ("id", "pages", "pas", "rx", "rx_full", "settled", "tx", "version")

    def __init__(self, id_: int, pas: PAS) -> None:
        self.id = id_
        self.pas = pas
        self.version = VERSION_1_1
        self.settled = False
        self.tx = self.rx = self.pages = 0
        self.rx_full = False


class Partition(Endpoint):
    """The service at S-EL1: one execution context, which no PE or one runs.

    pe: the PE that runs it, or last ran it.  requester: endpoint whose direct request it serves.
    """

    __slots__ = ("model", "pe", "requester", "state", "uuid")

    def __init__(self, uuid: bytes) -> None:
        super().__init__(PARTITION_ID, PAS.SECURE)
        self.uuid = uuid
        self.state = State.RUNNING
        self.model = Model.INIT
        self.pe = 0
        self.requester = 0

    @property
    def target(self) -> int:
        """Endpoint and vCPU, as FFA_RUN, FFA_YIELD and FFA_INTERRUPT carry them."""
        return self.id << 16

    def matches(self, uuid: bytes) -> bool:
        return uuid in (NIL_UUID, self.uuid)

    def descriptor(self, uuid: bytes, version: int) -> bytes:
        """Partition information descriptor (chapter 6): 8 bytes for a caller of 1.0, else 24.

        The UUID is told to whom did not name it.
        """
        properties = Properties.RECEIVES_DIRECT
        if version == VERSION_1_0:
            return struct.pack("<HHI", self.id, 1, properties)
        shown = self.uuid if uuid == NIL_UUID else NIL_UUID
        return struct.pack("<HHI", self.id, 1, properties | Properties.AARCH64) + shown

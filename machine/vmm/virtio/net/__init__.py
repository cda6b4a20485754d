# SPDX-License-Identifier: GPL-2.0-or-later
"""A network in user mode: the guest at 10.0.2.15/24, a gateway at 10.0.2.2 whose ports are the host's loopback."""

from __future__ import annotations

from .device import Net
from .gateway import Gateway
from .pcap import Pcap

__all__ = ["Gateway", "Net", "Pcap"]

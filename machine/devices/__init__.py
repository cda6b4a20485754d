# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices of the machine, at physical addresses."""

from __future__ import annotations

from .device import Alarm, Clock, Device, Line, Power, Reset

__all__ = ["Alarm", "Clock", "Device", "Line", "Power", "Reset"]

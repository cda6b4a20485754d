# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices of the machine, at physical addresses."""

from __future__ import annotations

from .device import Device

__all__ = ["Device"]

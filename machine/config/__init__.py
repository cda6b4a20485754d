# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine file: YAML in, a checked MachineConfig out."""

from __future__ import annotations

from . import lean
from .loader import MachineConfig, load

__all__ = ["MachineConfig", "lean", "load"]

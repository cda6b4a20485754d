# SPDX-License-Identifier: GPL-2.0-or-later
"""Machine files: from YAML to a checked configuration."""

from __future__ import annotations

from .loader import MachineConfig, load

__all__ = ["MachineConfig", "load"]

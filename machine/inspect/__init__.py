# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of a machine in text: for the prompt, for GDB's `monitor`, for a report.  Nothing here changes anything."""

from machine.inspect.commands import COMMANDS, inspect

__all__ = ["COMMANDS", "inspect"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines in scripts and tests (docs/library.md)."""

from machine.library.calls import CallFailed, Result
from machine.library.expect import Expected, call
from machine.library.session import NotReached, Session
from machine.stops import Stop

__all__ = ["CallFailed", "Expected", "NotReached", "Result", "Session", "Stop", "call"]

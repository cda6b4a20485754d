# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the user's files are."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(variable: str, default: str) -> Path:
    """Of ccabridge, below what an XDG variable names, or below `default` in the home (XDG Base Directory)."""
    base = os.environ.get(variable, "")
    # A relative path is invalid and must be ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / default) / "ccabridge"

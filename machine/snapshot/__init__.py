# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of a whole machine: its state as data, in a file and back (docs/snapshots.md)."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""The Arm architecture by name: registers, syndromes, processor state."""

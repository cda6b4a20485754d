# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python VMM: kvmtool's role, the Normal world's host of a realm guest."""

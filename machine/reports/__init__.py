# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as one page of HTML (docs/report.md)."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a machine's events: filters, live lines, files, and the tools that read those."""

# SPDX-License-Identifier: GPL-2.0-or-later
"""CCA attestation tokens: made, taken apart and checked (rmm-abi.md §10).

No emulator here, and the rest of `rmm` needs none of it.
"""

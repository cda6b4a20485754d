# SPDX-License-Identifier: GPL-2.0-or-later
"""FF-A 1.1 (DEN0077A) between the Normal world and one service in the Secure world.  No emulator import.

The machine has no S-EL2, so there is no Hafnium-like partition manager below the monitor: the monitor at EL3 plays
both the SPM Dispatcher and the SPM Core, for one partition at S-EL1 with one execution context.  The partition's
addresses are physical: nothing but the granule protection table bounds it.

`abi.py` and `sip.py` declare the calls; `world.py` is the state machine that answers them.
"""

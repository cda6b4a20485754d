# SPDX-License-Identifier: GPL-2.0-or-later
"""GDB's remote serial protocol: packets, what is said in them, and the socket.  What is debugged is a Debuggee."""

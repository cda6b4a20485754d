"""Declarations of the RMM's interfaces.  Each call, structure and value set is stated once, here.

Dispatch, argument decoding, trace lines, C headers, documentation and test strategies derive from them.
"""

# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python VMM: the host of a realm, in the role of KVM and kvmtool."""

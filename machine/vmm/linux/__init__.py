# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux as a realm guest: kernel images, device trees, initramfs, and Debian's kernels; none of it needs a realm."""

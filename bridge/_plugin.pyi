# SPDX-License-Identifier: GPL-2.0-or-later
"""The C plugin (plugin_c/cca.h): `lib` has its functions and constants, `ffi` its types."""

from typing import Any

ffi: Any
lib: Any

# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads the C plugin and the engine it links against."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from bridge.errors import UserError


def _load() -> tuple[Any, Any, Any]:
    import _cffi_backend

    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise UserError("the unicorn wheel is not installed (pip install unicorn==2.1.4)")
    library = Path(spec.origin).parent / "lib" / "libunicorn.so.2"
    if not library.exists():
        raise UserError(f"{library}: the unicorn wheel has no engine library (pip install unicorn==2.1.4)")
    # Loaded by path first: an editable install is not beside the wheel, so the extension's rpath misses it.
    engine = _cffi_backend.load_library(str(library), _cffi_backend.FFI.RTLD_NOW | _cffi_backend.FFI.RTLD_GLOBAL)
    try:
        from bridge import _plugin
    except ImportError as error:
        raise UserError(f"the plugin is not built or does not load: {error} (make, or pip install .)") from error
    # The handle goes with the pair: closed by the garbage collector, it would take the engine along.
    return _plugin.ffi, _plugin.lib, engine


ffi, lib, _engine = _load()

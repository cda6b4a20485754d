# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of the build that pyproject.toml cannot say: the plugin, the firmware, the wheel's tag."""

import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.chdir(HERE)


class BuildWithFirmware(build_py):
    """A distribution always carries the firmware: it is built here where it is not up to date."""

    def run(self) -> None:
        if not self.editable_mode:
            from firmware.build import build
            from firmware.toolchain import ToolchainError

            try:
                build()
            except ToolchainError as error:
                raise SystemExit(f"ccabridge: the firmware cannot be built: {error}") from None
        super().run()


class StableAbiWheel(bdist_wheel):
    """The extension uses the limited API: one wheel serves every CPython from 3.11."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.py_limited_api = "cp311"


setup(
    cffi_modules=["bridge/plugin_c/build_plugin.py:ffibuilder"],
    cmdclass={"build_py": BuildWithFirmware, "bdist_wheel": StableAbiWheel},
)

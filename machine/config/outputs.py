# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that a run writes must not be files that it reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from bridge.errors import ConfigError

from .consoles import File, parse_input, parse_output
from .files import FIRMWARE
from .types import Flash, MachineFile, Ns16550, Nvm, Pl011


def check_outputs(machine: MachineFile, where: Callable[..., str], files: Iterable[str]) -> None:
    """ConfigError for a console's file that is also an input; `files` are the machine files themselves."""
    outputs = list(_outputs(machine))
    if not outputs:
        return
    inputs = {os.path.realpath(file): "the machine file" for file in files}
    inputs |= {os.path.realpath(path): key for path, key in _inputs(machine)}
    for path, name in outputs:
        key = inputs.get(os.path.realpath(path))
        at = f"{where('devices', name, 'console')}: devices.{name}.console"
        if key is not None:
            raise ConfigError(f"{at}: {path} would be overwritten: it is {key}")
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise ConfigError(f"{at}: {folder}: no such directory")
        if os.path.isdir(path):
            raise ConfigError(f"{at}: {path}: a directory, expected a file")


def _outputs(machine: MachineFile) -> Iterator[tuple[str, str]]:
    for name, device in machine.devices.items():
        if isinstance(device, (Pl011, Ns16550)):
            target = parse_output(device.console)
            if isinstance(target, File):
                yield target.path, name


def _inputs(machine: MachineFile) -> Iterator[tuple[str, str]]:
    for name, load in machine.load.items():
        if not load.file.startswith(FIRMWARE):
            yield load.file, f"load.{name}.file"
    for index, realm in enumerate(machine.realms):
        if not realm.image.startswith(FIRMWARE):
            yield realm.image, f"realms[{index}].image"
    for name, device in machine.devices.items():
        if isinstance(device, (Nvm, Flash)) and device.file is not None:
            yield device.file, f"devices.{name}.file"
        elif isinstance(device, (Pl011, Ns16550)):
            source = parse_input(device.input)
            if isinstance(source, File):
                yield source.path, f"devices.{name}.input"

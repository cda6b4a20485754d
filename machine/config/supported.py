# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine file can say but this version cannot run: refused by name, before anything is made."""

from __future__ import annotations

from bridge.errors import ConfigError

from .loader import MachineConfig


def refuse_unsupported(config: MachineConfig, *, scripted: bool = False) -> None:
    """ConfigError at the key that asks for what is not there yet.  scripted: a script plays the host."""
    where = config.source.where
    if config.boot.world != "normal":
        raise ConfigError(
            f"{where('boot', 'world')}: boot.world: {config.boot.world}: PE 0 boots the Normal world; "
            "what runs in the Secure world is said by `secure`"
        )
    if not scripted and config.boot.host == "vmm" and not config.realms and config.vmm is None:
        raise ConfigError(
            f"{where('boot', 'host')}: boot.host: vmm: there is nothing for it to run: `vmm` describes Linux, "
            "`realms` a payload"
        )

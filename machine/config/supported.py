# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine file can say but this version cannot run: refused by name, before anything is made."""

from __future__ import annotations

from bridge.errors import ConfigError

from .loader import MachineConfig


def refuse_unsupported(config: MachineConfig) -> None:
    """ConfigError at the key that asks for what is not there yet."""
    where = config.source.where
    if config.cpu.count > 1:
        raise ConfigError(f"{where('cpu', 'count')}: cpu.count: {config.cpu.count} PEs: this version runs one")
    if config.boot.world != "normal":
        raise ConfigError(
            f"{where('boot', 'world')}: boot.world: {config.boot.world}: PE 0 boots the Normal world; "
            "what runs in the Secure world is said by `secure`"
        )
    for feature in ("sve", "pmu"):
        if getattr(config.rmm.features, feature):
            raise ConfigError(
                f"{where('rmm', 'features', feature)}: rmm.features.{feature}: this version offers realms none"
            )

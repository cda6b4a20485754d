# SPDX-License-Identifier: GPL-2.0-or-later
"""Physical address spaces and granule protection information (rmm-abi.md §13.4, §13.5)."""

from __future__ import annotations

from enum import IntEnum


class PAS(IntEnum):
    """A physical address space, numbered as the GPI that assigns a granule to it."""

    SECURE = 0x8
    NON_SECURE = 0x9
    ROOT = 0xA
    REALM = 0xB

    @property
    def text(self) -> str:
        """The name a machine file uses: `secure`, `non-secure`, `root` or `realm`."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_text(cls, text: str) -> PAS:
        """The inverse of `text`; ValueError when there is no such space."""
        try:
            return cls[text.upper().replace("-", "_")]
        except KeyError:
            raise ValueError(f"no physical address space is called {text!r}") from None


class GPI(IntEnum):
    """Granule protection information: 4 bits for each granule (rmm-abi.md §13.5)."""

    NO_ACCESS = 0x0
    SYSTEM_AGENT = 0x4
    NON_SECURE_PROTECTED = 0x5
    SECURE = 0x8
    NON_SECURE = 0x9
    ROOT = 0xA
    REALM = 0xB
    NON_SECURE_ONLY = 0xD
    ANY = 0xF

    @property
    def text(self) -> str:
        return self.name.lower().replace("_", "-")

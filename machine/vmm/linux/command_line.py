# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel command line, as far as what stands in it can be wrong (Linux, Documentation/admin-guide)."""

from __future__ import annotations

import re

from bridge.errors import UserError

# Linux, COMMAND_LINE_SIZE of arm64, with the 0 at its end.
MAX_LENGTH = 2047
# earlycon=NAME[,mmio…],ADDRESS and console=NAME,mmio…,ADDRESS; other consoles are named by their driver.
_CONSOLE = re.compile(
    r"(?:^| )((?:earlycon=\w+,(?:mmio\w*,)?|console=\w+,mmio\w*,)(0x[0-9a-fA-F]{1,16}|\d{1,19}))(?=[, ]|$)"
)
# Without a name, Linux takes what /chosen/stdout-path says, and reaches for it before it knows of RIPAS.
_EARLYCON = re.compile(r"(?:^| )earlycon=?(?= |$)")
# What is RAM for the kernel, from its start; of several words the last counts (Linux, early_mem of arm64, memparse).
_LIMIT = re.compile(r"(?:^| )(mem=(0x[0-9a-fA-F]{1,16}|\d{1,19})([kKmMgGtT]?))(?= |$)")
# A realm is described by a device tree; with these Linux asks for ACPI tables instead.
_ACPI = re.compile(r"(?:^| )(acpi=(?:on|force))(?= |$)")


def with_defaults(given: str, words: list[str]) -> str:
    """A command line with those default words in front of it whose names it does not have, as kvmtool adds its own."""
    names = {word.split("=")[0] for word in given.split()}
    return " ".join([word for word in words if word.split("=")[0] not in names] + ([given] if given else []))


def limit(text: str) -> tuple[str, int] | None:
    """`mem=`: the word, and the bytes of RAM that it leaves to the kernel; None without."""
    found = _LIMIT.findall(text)
    if not found:
        return None
    word, number, unit = found[-1]
    return word, int(number, 16 if number.startswith("0x") else 10) << 10 * " kmgt".index(unit.lower() or " ")


def check(text: str, shared_bit: int | None = None, *, earlycon: str | None = None) -> None:
    """UserError for a line that Linux would cut off, that a device tree cannot hold, or whose console is protected.

    shared_bit: of the realm; the registers of a console are at addresses that have it.  earlycon: what to name as the
    early console when the device tree's is at a protected address.
    """
    if len(text) > MAX_LENGTH:
        raise UserError(f"a kernel command line of {len(text)} bytes: Linux takes at most {MAX_LENGTH}")
    if not text.isascii() or not text.isprintable():
        raise UserError("the kernel command line has characters that are not printable ASCII")
    acpi = _ACPI.search(text)
    if acpi is not None:
        raise UserError(f"`{acpi[1]}`: ACPI is not supported: a realm here is described by a device tree")
    if earlycon is not None and _EARLYCON.search(text):
        raise UserError(
            "`earlycon` alone takes the device tree's address, which is protected (RIPAS EMPTY), as it is: "
            f"use earlycon={earlycon}"
        )
    if shared_bit is None:
        return
    for match in _CONSOLE.finditer(text):
        address = int(match[2], 16 if match[2].startswith("0x") else 10)
        if address < shared_bit:
            raise UserError(
                f"`{match[1]}`: {address:#x} is a protected address (RIPAS EMPTY), where a realm has no devices: "
                f"use {address | shared_bit:#x}"
            )

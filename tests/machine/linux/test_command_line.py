# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel command line (Linux, Documentation/admin-guide/kernel-parameters.txt: console=, earlycon=)."""

from __future__ import annotations

import pytest

from bridge.errors import UserError
from machine.vmm.linux.command_line import check, with_defaults

SHARED = 1 << 32


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("earlycon=uart,mmio,0x1000000", "0x101000000"),
        ("quiet earlycon=uart8250,mmio32,0x1000000,115200n8 x=y", "0x101000000"),
        ("earlycon=pl011,0x9000000", "0x109000000"),
        ("earlycon=pl011,mmio32,0x9000000", "0x109000000"),
        ("console=uart8250,mmio,16777216", "0x101000000"),
        ("earlycon=uart,mmio,0x101000000 console=uart,mmio,0x1000000", "0x101000000"),
    ],
)
def test_console__at_a_protected_address_names_the_one_to_use(text: str, use: str) -> None:
    with pytest.raises(UserError, match=rf"protected address \(RIPAS EMPTY\).*: use {use}$"):
        check(text, SHARED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "earlycon",
        "earlycon=uart,mmio,0x101000000",
        "console=ttyS0,115200 console=hvc0 console=tty0",
        "xearlycon=uart,mmio,0x1000000",
        "earlycon=uart,io,0x3f8",
        "x" * 2047,
    ],
)
def test_command_line__that_is_fine(text: str) -> None:
    check(text, SHARED)


@pytest.mark.parametrize(("text", "said"), [("x" * 2048, "at most 2047"), ("é", "printable"), ("a\nb", "printable")])
def test_command_line__that_cannot_be(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(text)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("", "console=ttyS0 panic=-1"),
        ("quiet", "console=ttyS0 panic=-1 quiet"),
        ("console=hvc0 x", "panic=-1 console=hvc0 x"),
        ("panic=0  console=ttyS0,9600", "panic=0  console=ttyS0,9600"),
        ("consoles=1", "console=ttyS0 panic=-1 consoles=1"),
    ],
)
def test_defaults__stand_before_what_is_given_and_below_it(given: str, line: str) -> None:
    assert with_defaults(given, ["console=ttyS0", "panic=-1"]) == line

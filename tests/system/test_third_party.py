# SPDX-License-Identifier: GPL-2.0-or-later
"""Images made for a board by somebody who does not know of ccabridge: given by --load, with nothing but addresses.

What they print is what the boards' documentation and the architecture promise: TF-A docs/plat/fvp, QEMU hw/arm/virt.c,
GICv3 (IHI 0069 12.9.4 GICD_CTLR, 12.9.38 GICD_TYPER, GICD_PIDR2.ArchRev), PSCI (DEN0022 5.1.1), SP805 (DDI 0270).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.image import flatten, read_image
from firmware import toolchain
from machine.config.scalars import address_text
from tests.system.assemble import assemble
from tests.system.cli import ccabridge

HERE = Path(__file__).parent / "bare"
BASES = {"fvp-base": 0x8800_0000, "qemu-virt": 0x4008_0000}


def build(folder: Path, board: str, *flags: str) -> Path:
    """An ELF linked at the board's own load address."""
    out = folder / "image.elf"
    own = ["-DFVP_BASE"] if board == "fvp-base" else []
    toolchain.run(
        toolchain.find().cc(
            [
                f"-Wl,-T,{HERE / 'image.ld'}",
                f"-I{HERE}",
                *own,
                *flags,
                str(HERE / "start.S"),
                str(HERE / "main.c"),
                "-o",
                str(out),
            ]
        )
    )
    return out


def once(board: str, boot: int) -> list[str]:
    """What a boot prints up to its reset.

    CurrentEL 8 is EL2; GICD_CTLR as EL3 firmware leaves it: ARE_NS (bit 4), nothing enabled; GICD_TYPER.ITLinesNumber
    for 224 and 256 SPIs; ArchRev 3.
    """
    fvp = board == "fvp-base"
    return [
        f"boot {boot}",
        "CurrentEL 8",
        f"CNTFRQ_EL0 {100_000_000 if fvp else 1_000_000_000:x}",
        "GICD_CTLR 10",
        f"GICD_TYPER {7 if fvp else 8}",
        "GICD_PIDR2 3b",
        "interrupt 1e",
        *(["interrupt 3a"] if fvp else []),
    ]


def rest(board: str) -> list[str]:
    fvp = board == "fvp-base"
    return [
        "PSCI 10001",
        "CPU_ON 0",
        f"second PE {0x8000_0100 if fvp else 0x8000_0001:x}",
        *(["power of it 0"] if fvp else []),
    ]


def said(lines: list[str], label: str = "NS") -> list[str]:
    return [line.removeprefix(f"[{label}] ").rstrip("\r") for line in lines if line.startswith(f"[{label}] ")]


@pytest.mark.parametrize("board", BASES)
def test_elf__boots_is_reset_once_and_switches_off(tmp_path: Path, board: str) -> None:
    """The GIC and the timers after the reset (a watchdog's bark, PSCI SYSTEM_RESET) are those of a cold boot."""
    result = ccabridge("run", board, "--load", str(build(tmp_path, board)), *_own(board))
    assert said(result.lines) == [*once(board, 1), *once(board, 2), *rest(board)], result.out + result.err
    assert result.code == 0
    assert result.lines[-1] == "ccabridge: guest-exit 0: PSCI_SYSTEM_OFF by the Normal world"
    if board == "fvp-base":
        assert said(result.lines, "uart2") == ["from the third UART"]


def _own(board: str) -> list[str]:
    return [] if board == "fvp-base" else ["-s", "cpu.count=2", "--entry", hex(BASES[board])]


@pytest.mark.parametrize("board", BASES)
def test_flat_binary__at_its_address(tmp_path: Path, board: str) -> None:
    flat = tmp_path / "image.bin"
    flat.write_bytes(flatten(read_image(build(tmp_path, board))))
    result = ccabridge("run", board, "--load", f"{flat}@{BASES[board]:#x}", *_own(board))
    assert said(result.lines) == [*once(board, 1), *once(board, 2), *rest(board)], result.out + result.err


def test_console__is_the_uart_that_is_chosen(tmp_path: Path) -> None:
    result = ccabridge("run", "fvp-base", "-s", "console=uart2", "--load", str(build(tmp_path, "fvp-base")))
    assert result.code == 0
    assert [line for line in result.lines if not line.startswith("ccabridge: ")] == ["[uart2] from the third UART"]


@pytest.mark.parametrize("board", BASES)
def test_what_is_absent__is_named(tmp_path: Path, board: str) -> None:
    """The board's virtio windows: nothing is there."""
    absent = {"fvp-base": 0x1C13_0010, "qemu-virt": 0x0A00_0010}[board]
    words = ["run", board, "--load", str(build(tmp_path, board, "-DTOUCH")), *_own(board)]
    text = f"write of 4 bytes at PA {absent >> 16:#06x}_{absent & 0xFFFF:04x} by normal world, PE 0, PC 0x"
    quiet = ccabridge(*words)
    assert quiet.code == 0 and text not in quiet.out + quiet.err
    lines = said(quiet.lines)
    assert lines[0] == f"reaching for {absent & ~0xFFF:x}"
    esr = int(lines[1].removeprefix("fault: ESR_EL2 "), 16)
    assert (esr >> 26, esr & 0x7F) == (0x25, 0x50), "a data abort of EL2's own: write, external abort"
    assert lines[2] == f"fault: FAR_EL2 {absent:x}"
    verbose = ccabridge(*words, "-v")
    assert text in verbose.err and "<start+0x" in verbose.err and verbose.out == quiet.out
    traced = ccabridge(*words, "--trace=unclaimed")
    assert sum(f"unclaimed: {text}" in line and "<start+0x" in line for line in traced.lines) == 1
    as_json = json.loads(ccabridge(*words, "--json").lines[-1])
    assert [line.startswith(text) for line in as_json["unclaimed"]] == [True]
    # The report of a run that comes to no end of its own.
    words[3] = str(build(tmp_path, board, "-DTOUCH", "-DHANG"))
    stopped = ccabridge(*words)
    assert stopped.code == 3
    assert "ccabridge: stopped: WFI in the Normal world and no interrupt can come" in stopped.lines
    assert "  1 access to an address where the board has nothing:" in stopped.lines
    assert any(line.strip().startswith(text) for line in stopped.lines), stopped.out


@pytest.mark.parametrize(
    ("word", "pa"),
    [
        pytest.param(0x3DC00020, 0x1C13_0000, id="ldr q0"),
        pytest.param(0xC85F7C20, 0x1C13_0000, id="ldxr x0"),
        pytest.param(0xF8E00020, 0x1C13_0000, id="ldaddal x0"),
        pytest.param(0xF9400020, 0x40_0000_0000, id="ldr x0, where the model has PCIe"),
        pytest.param(0xF9400020, 0x6_0000_0000, id="ldr x0, between the DRAMs"),
    ],
)
def test_what_is_absent__by_any_instruction_and_anywhere(tmp_path: Path, word: int, pa: int) -> None:
    """An external abort as any other, and named: TF-A's level 0 GPT entries are ANY where there is no memory."""
    program = f"""
    adr x2, vectors
    msr vbar_el2, x2
    ldr x1, ={pa:#x}
    .inst {word:#x}
    b .
    .balign 2048
vectors:
    .zero 0x200
    mrs x3, esr_el2
    lsr x3, x3, #26
    sub x3, x3, #0x25
    cbnz x3, .
    mrs x3, esr_el2
    and x3, x3, #0x3f
    sub x3, x3, #0x10
    cbnz x3, .
    ldr w0, =0x84000008
    smc #0
    """
    image = assemble(tmp_path, program, BASES["fvp-base"])
    result = ccabridge("run", "fvp-base", "--load", str(image), "-v")
    assert result.code == 0, result.out
    assert f"bytes at PA {address_text(pa)} by normal world, PE 0, PC 0x8800000c" in result.err

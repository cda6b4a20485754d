# SPDX-License-Identifier: GPL-2.0-or-later
"""`--symbols`, backtraces and source lines, in the report, at breakpoints and in the trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import firmware
from bridge.symbols import SymbolTable
from firmware import toolchain
from machine.vmm.linux.cache import cached_kernel
from tests.system.cli import ccabridge
from tests.system.test_diagnosis import lines_of

needs_a_kernel = pytest.mark.skipif(cached_kernel() is None, reason="no Linux kernel is cached: ccabridge fetch-kernel")


def address_of(image: str, name: str) -> int:
    address = SymbolTable.from_elf(firmware.locate(image)).address(name)
    assert address is not None
    return address


def test_system_map__names_the_code_of_a_raw_image(tmp_path: Path) -> None:
    """nop ; b . at 0x8000_0000, which a System.map calls `idle_forever`."""
    (tmp_path / "spin.bin").write_bytes(bytes.fromhex("1f2003d5 00000014"))
    (tmp_path / "System.map").write_text("0000000080000000 T idle_forever\n0000000080000100 T next\n")
    words = ("run", "hello-realm", "-s", f"realms.0.image={tmp_path / 'spin.bin'}")
    named = ccabridge(*words, "--symbols", str(tmp_path / "System.map"))
    assert named.code == 3
    assert "PC: 0x80000004 <idle_forever+0x4>: b " in named.out
    assert " at 0x80000004 <idle_forever+0x4>, " in lines_of(named.out)[0]
    place = ("--break", "realm:idle_forever", "-s", "limits.time=1ms")
    stopped = ccabridge(*words, "--symbols", f"realm:{tmp_path / 'System.map'}", *place)
    assert "breakpoint 1 (realm:idle_forever)" in stopped.out


def test_symbols_of_another_world__are_not_the_realms(tmp_path: Path) -> None:
    (tmp_path / "System.map").write_text(f"{address_of('hello', 'main'):016x} T host_main\n")
    result = ccabridge("run", "hello-realm", "--symbols", f"normal:{tmp_path / 'System.map'}", "--break", "realm:main")
    assert "<main>" in result.out
    assert "host_main" not in result.out


@pytest.mark.parametrize("content", ["no map\n", "", "0000000000000000 T The kernel's map is elsewhere\n"])
def test_file__that_is_no_map_is_one_line_and_2(content: str, tmp_path: Path) -> None:
    (tmp_path / "System.map").write_text(content)
    result = ccabridge("run", "hello-realm", "--symbols", str(tmp_path / "System.map"))
    assert result.code == 2
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert "System.map" in result.err
    assert ccabridge("run", "hello-realm", "--symbols", "nowhere").code == 2


def test_report__has_the_callers_with_their_lines() -> None:
    """Mistake 9 of docs/diagnoses.md: the host is four calls deep in what it does for ever."""
    result = ccabridge("run", "seeded", "-s", "boot.registers.x1=9")
    chain = re.findall(r"^    #(\d+) 0x\w+ <(\w+)\+0x\w+> \(([\w/.-]+):\d+\)$", result.out, re.MULTILINE)
    assert chain == [
        ("1", "rec_step", "vmm/run.c"),
        ("2", "realms_run_on", "vmm/run.c"),
        ("3", "main", "host/seeded.c"),
        ("4", "host_start", "sdk/runtime/host.c"),
    ]
    assert re.search(r"PC: 0x\w+ <exit_ignored\+0x\w+> \([\w/.]+:\d+\): ", result.out)


def test_realm_that_ends_by_its_own_fault__is_diagnosed_after_it_is_gone(tmp_path: Path) -> None:
    """The payload forgets the shared bit of the UART: its handler ends it, and the host takes it apart."""
    source, payload = tmp_path / "main.c", tmp_path / "payload.elf"
    source.write_text('#include "realm.h"\nint main(void)\n{\n    mmio_write32(CCAB_UART_IPA, 0);\n    return 0;\n}\n')
    toolchain.run(toolchain.find().cc([*toolchain.sdk_arguments("realm"), str(source), "-o", str(payload)]))
    result = ccabridge("run", str(payload))
    assert result.code == 98
    assert "granules delegated" in result.out
    (line,) = lines_of(result.out)
    assert re.match(
        r"ccabridge: diagnosis: mmio-at-protected-ipa: REC 0 of realm 0x94000000 faults at IPA 0x9000000 "
        r"\(0x\w+ <main\S*>\), the UART in the protected half, RIPAS EMPTY: ",
        line,
    ), line


@needs_a_kernel
def test_linux__cut_short_is_named_by_its_own_kallsyms() -> None:
    """The callers of whatever it does begin where every kernel thread or the boot does."""
    result = ccabridge("run", "linux-realm", "-s", "vmm.script=exit", "-s", "limits.time=100ms")
    assert result.code == 124
    frames = re.findall(r"^    #\d+ 0x\w{16} <(\w+)\+0x\w+>$", result.out, re.MULTILINE)
    assert frames, result.out[-3000:]
    assert frames[-1] in ("ret_from_fork", "__primary_switched", "start_kernel", "el0t_64_sync", "el1h_64_irq")
    assert re.search(r"PC: 0x\w{16} <\w+(\+0x\w+)?>: ", result.out)
    assert lines_of(result.out) == []

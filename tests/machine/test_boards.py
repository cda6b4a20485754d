"""The boards: what stands where, what the page says of it, and small images that run on them."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest

from machine.config import MachineConfig, load
from machine.config.boards import NOT_MODELLED, PATH, text
from machine.config.scalars import address_text
from machine.config.shipped import names
from machine.config.windows import windows, wires
from machine.end import End
from machine.machine import Machine

BOARDS = [name for name in names(boards=True) if name.startswith("boards/")]

ENTRY = 0x8800_0000
HLT_SEMIHOSTING = 0xD45E_0000
SPIN = 0x1400_0000
LIMIT = "limits: {time: 20s}"


def places(config: MachineConfig) -> dict[str, tuple[int, int]]:
    """(base, size) of regions and devices by name, of frames by name and part."""
    found = {name: (int(r.base), int(r.size)) for name, r in config.memory.items()}
    return found | {f"{w.device} {w.part}".strip(): (int(w.base), int(w.size)) for w in windows(config)}


def test_fvp_base__address_map_of_the_platform() -> None:
    """TF-A: plat/arm/board/fvp/fvp_def.h, include/plat/arm/board/common/v2m_def.h; Linux: arm/fvp-base-revc.dts."""
    config = load("boards/fvp-base")
    found = places(config)
    assert {
        "uart0": (0x1C09_0000, 0x1000),
        "uart1": (0x1C0A_0000, 0x1000),
        "uart2": (0x1C0B_0000, 0x1000),
        "uart3": (0x1C0C_0000, 0x1000),
        "sysregs": (0x1C01_0000, 0x1000),
        "watchdog": (0x1C0F_0000, 0x1000),
        "power": (0x1C10_0000, 0x1000),
        "timer01": (0x1C11_0000, 0x1000),
        "timer23": (0x1C12_0000, 0x1000),
        "rtc": (0x1C17_0000, 0x1000),
        "trusted_watchdog": (0x2A49_0000, 0x1000),
        "ap_watchdog control": (0x2A44_0000, 0x1000),
        "ap_watchdog refresh": (0x2A45_0000, 0x1000),
        "counter CNTControlBase": (0x2A43_0000, 0x1000),
        "counter CNTReadBase": (0x2A80_0000, 0x1000),
        "timers CNTCTLBase": (0x2A81_0000, 0x1000),
        "timers CNTBase0": (0x2A82_0000, 0x1000),
        "timers CNTBase1": (0x2A83_0000, 0x1000),
        "gic distributor": (0x2F00_0000, 0x1_0000),
        "gic redistributors": (0x2F10_0000, 8 * 0x2_0000),
        "flash0": (0x0800_0000, 64 << 20),
        "flash1": (0x0C00_0000, 64 << 20),
        "secure": (0x0600_0000, 32 << 20),
        "nvm": (0x8280_0000, 64 << 10),
        "dram2": (0x8_8000_0000, 2 << 30),
    }.items() <= found.items()
    low, nvm, high = found["dram_low"], found["nvm"], found["dram"]
    assert low[0] == 0x8000_0000 and sum(low) == nvm[0] and sum(nvm) == high[0] and sum(high) == 0x1_0000_0000
    assert (config.boot.entry, config.boot.el, config.boot.world) == (0x8800_0000, 2, "normal")
    assert {wire.device: wire.intid for wire in wires(config) if wire.device != "timers"} == {
        "uart0": 37,
        "uart1": 38,
        "uart2": 39,
        "uart3": 40,
        "watchdog": 32,
        "timer01": 34,
        "timer23": 35,
        "rtc": 36,
        "trusted_watchdog": 56,
        "ap_watchdog": 59,
    }
    assert [wire.intid for wire in wires(config) if wire.device == "timers"] == [57, 58]


def test_fvp_base__two_clusters_of_four() -> None:
    affinities = load("boards/fvp-base").cpu.affinities
    assert affinities == [cluster << 16 | cpu << 8 for cluster in (0, 1) for cpu in (0, 1, 2, 3)]


def test_qemu_virt__address_map_of_the_board() -> None:
    """QEMU: hw/arm/virt.c, base_memmap and a15irqmap."""
    config = load("boards/qemu-virt")
    assert {
        "flash0": (0x0, 64 << 20),
        "flash1": (0x0400_0000, 64 << 20),
        "gic distributor": (0x0800_0000, 0x1_0000),
        "gic redistributors": (0x080A_0000, 0x2_0000),
        "uart0": (0x0900_0000, 0x1000),
        "rtc": (0x0901_0000, 0x1000),
        "secure_uart": (0x0904_0000, 0x1000),
        "secure": (0x0E00_0000, 16 << 20),
        "dram": (0x4000_0000, 4 << 30),
    }.items() <= places(config).items()
    irqs = {wire.device: wire.intid for wire in wires(config)}
    assert irqs.items() >= {"uart0": 33, "rtc": 34, "secure_uart": 40}.items()
    assert {name for name, device in config.devices.items() if device.pas == "secure"} == {"flash0", "secure_uart"}


@pytest.mark.parametrize("name", BOARDS)
def test_root_and_realm_memory__where_no_user_of_the_board_looks(name: str) -> None:
    config = load(name)
    outside = [(m.base, m.base + m.size) for m in NOT_MODELLED.get(name, ())]
    for region in config.memory.values():
        if region.pas in ("root", "realm"):
            assert all(region.base + region.size <= low or high <= region.base for low, high in outside)
            assert name == "boards/mini" or region.base >= 0xFF_0000_0000


@pytest.mark.parametrize("name", sorted(NOT_MODELLED))
def test_what_is_missing__is_missing(name: str) -> None:
    """Whoever adds a device takes it off the list."""
    taken = [(base, base + size, what) for what, (base, size) in places(load(name)).items()]
    listed = sorted(NOT_MODELLED[name])
    for missing in listed:
        clash = [what for low, high, what in taken if low < missing.base + missing.size and missing.base < high]
        assert not clash, f"{missing.what} at {missing.base:#x}: there is {clash}"
    assert all(a.base + a.size <= b.base for a, b in pairwise(listed))


def test_lists__are_of_boards_that_there_are() -> None:
    assert set(NOT_MODELLED) == {"boards/fvp-base", "boards/qemu-virt"} <= set(BOARDS)


def test_page__is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "run make docs"


def move(register: int, value: int) -> list[int]:
    """MOVZ and MOVKs of a 64-bit value."""
    words = [0xD280_0000 | (value & 0xFFFF) << 5 | register]
    for half in (1, 2, 3):
        part = value >> 16 * half & 0xFFFF
        if part:
            words.append(0xF280_0000 | half << 21 | part << 5 | register)
    return words


def store(address: int, value: int) -> list[int]:
    """STR W10, [X9]."""
    return [*move(9, address), *move(10, value), 0xB900_012A]


def load_w(address: int) -> list[int]:
    """LDR W11, [X9]."""
    return [*move(9, address), 0xB940_012B]


def leave(code: int) -> list[int]:
    """Semihosting's SYS_EXIT; its block is made behind the image."""
    block = ENTRY + 0x1_0000
    words = [*move(9, block), *move(10, 0x2_0026), 0xF900_012A, *move(10, code), 0xF900_052A]
    return [*words, *move(0, 0x18), *move(1, block), HLT_SEMIHOSTING]


def boot(tmp_path: Path, words: list[int], *lines: str) -> tuple[Machine, End, str]:
    """Runs words from 0x8800_0000 on, on the FVP with one PE."""
    (tmp_path / "image.bin").write_bytes(struct.pack(f"<{len(words)}I", *words))
    (tmp_path / "m.yaml").write_text(
        "layers: [boards/fvp-base.yaml]\n"
        "cpu: {count: 1, mpidr: null}\n"
        f"load: {{image: {{file: image.bin, at: 0x{ENTRY:x}}}}}\n"
        + "".join(f"{line}\n" for line in (*lines, *([] if any("limits" in w for w in lines) else [LIMIT])))
    )
    out: list[str] = []
    machine = Machine(load(str(tmp_path / "m.yaml")), out.append)
    end = machine.run()
    return machine, end, "".join(out)


def test_realm__is_built_on_the_fvp_with_all_its_pes(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "layers: [boards/fvp-base.yaml]\n"
        "load: {host: {file: 'firmware:host'}}\n"
        "boot: {entry: host, info: 0x8700_0000, stage: 0x9000_0000, pool: {base: 0x9400_0000, size: 192M}}\n"
        "realms: [{name: hello, image: 'firmware:hello', ram: {base: 0x8000_0000, size: 16M}}]\n"
    )
    out: list[str] = []
    machine = Machine(load(str(tmp_path / "m.yaml")), out.append)
    end = machine.run()
    machine.close()
    assert end.code == 0 and any(line.startswith("[realm 0] Hello") or "Hello from a realm" in line for line in out)


def test_uart__speaks(tmp_path: Path) -> None:
    words = [word for byte in b"hi\n" for word in store(0x1C09_0000, byte)]
    machine, end, out = boot(tmp_path, words + leave(7))
    machine.close()
    assert (end.code, out) == (7, "[NS] hi\n")


def test_console_key__chooses_standard_output(tmp_path: Path) -> None:
    words = [word for uart in (0x1C09_0000, 0x1C0B_0000) for byte in b"hi\n" for word in store(uart, byte)]
    machine, _, out = boot(tmp_path, words + leave(0), "console: uart2")
    machine.close()
    assert out == "[uart2] hi\n"


def test_console_file_and_input_file(tmp_path: Path) -> None:
    """What the image reads from its UART's input it writes to its output."""
    (tmp_path / "in").write_bytes(b"\x41\x42")
    enable = store(0x1C09_002C, 0x70)
    echo = [*load_w(0x1C09_0000), 0xB900_012B]  # STR W11, [X9]
    machine, _, out = boot(
        tmp_path,
        enable + echo + echo + leave(0),
        "devices: {uart0: {console: 'file:out', input: 'file:in'}}",
    )
    machine.close()
    assert (tmp_path / "out").read_bytes() == b"AB" and out == ""


def test_watchdog__resets_the_machine_and_nvm_remembers(tmp_path: Path) -> None:
    """Each start writes a dot; the first starts the watchdog and waits for its second time at 0."""
    nvm = 0x8280_0000
    words = store(0x1C09_0000, ord("."))
    words += [*load_w(nvm), *move(10, 0x1234)]
    arm = [0xB900_012A, *store(0x1C0F_0000, 3), *store(0x1C0F_0008, 3), SPIN]  # STR W10, [X9] is the mark
    words += [0x6B0A_017F, 0x5400_0000 | (len(arm) + 1) << 5, *arm]  # CMP W11, W10; B.EQ past it
    words += store(0x1C09_0000, ord("\n")) + leave(3)
    machine, end, out = boot(tmp_path, words)
    resets = machine.resets
    machine.close()
    assert (end.code, out, resets) == (3, "[NS] ..\n", 1)


def test_sysregs__shut_the_machine_down(tmp_path: Path) -> None:
    machine, end, _ = boot(tmp_path, [*store(0x1C01_00A4, 1 << 31 | 1 << 30 | 8 << 20), SPIN])
    machine.close()
    assert (end.kind, end.code, end.reason) == ("guest-exit", 0, "shut down by SYS_CFGCTRL")


def test_flash__saved_when_asked(tmp_path: Path) -> None:
    words = [*store(0x0C00_0100, 0x0040_0040), *store(0x0C00_0100, 0x1234_5678), *leave(0)]
    machine, _, _ = boot(tmp_path, words, "devices: {flash1: {size: 256K, file: vars, save: true}}")
    machine.close()
    content = (tmp_path / "vars").read_bytes()
    assert len(content) == 256 << 10
    assert content[0x100:0x104] == bytes.fromhex("78563412") and set(content[:0x100] + content[0x104:]) == {0xFF}


def test_nvm__from_a_file_and_not_written_back_unasked(tmp_path: Path) -> None:
    (tmp_path / "nv").write_bytes(b"\x05\x00\x00\x00")
    copy = [*load_w(0x8280_0000), *store(0x8280_0000, 9), *move(9, 0x1C09_0000), 0x1100_C16B, 0xB900_012B]
    machine, _, out = boot(tmp_path, copy + leave(0), "devices: {nvm: {file: nv}}")
    machine.close()
    assert out == "[NS] 5\n", "ADD W11, W11, #48"
    assert (tmp_path / "nv").read_bytes() == b"\x05\x00\x00\x00"


def test_counters__of_the_pe_and_of_the_frames_are_one(tmp_path: Path) -> None:
    """CNTPCT_EL0, CNTBase1.CNTPCT, CNTPCT_EL0: one instruction is one tick here."""
    words = [*move(9, 0x2A83_0000), 0xD53B_E021, 0xF940_0122, 0xD53B_E023]  # MRS X1; LDR X2, [X9]; MRS X3
    keep = [0xAA01_03F4, 0xAA02_03F5, 0xAA03_03F6]  # MOV X20, X1; MOV X21, X2; MOV X22, X3
    machine, _, _ = boot(tmp_path, words + keep + leave(0), "clock: {cntfrq: 1_000_000_000}")
    before, frame, after = machine.pes[0].normal.get_x(20, 3)
    machine.close()
    assert before <= frame <= after <= before + 2 and before > 0


def test_watchdog__a_bark_is_on_time(tmp_path: Path) -> None:
    """327 ticks of 32768 Hz to the first 0, 328 to the second: a reset after 19.989 ms."""
    words = [*store(0x1C0F_0000, 327), *store(0x1C0F_0008, 3), SPIN]
    for limit, expected in (("20ms", 1), ("19.98ms", 0)):
        machine, end, _ = boot(tmp_path, words, f"limits: {{time: {limit}}}")
        resets = machine.resets
        machine.close()
        assert (end.kind, resets) == ("timeout", expected)


@pytest.mark.parametrize(
    ("address", "abort"),
    [(0x1C13_0000, 0x10), (0x0006_0000_0000, 0x10), (0xFF_8000_0000, 0x28)],
    ids=["peripherals: synchronous external abort", "elsewhere: the same", "the RMM's: granule protection fault"],
)
def test_nothing_there__an_abort_that_names_its_kind(tmp_path: Path, address: int, abort: int) -> None:
    """ESR_EL2.DFSC (DDI 0487, D24.2.40); the vectors leave with it as the exit code."""
    head = [*move(9, ENTRY + 0x800), 0xD51C_C009, *load_w(address), SPIN]  # MSR VBAR_EL2, X9
    block = ENTRY + 0x1_0000
    handler = [0xD53C_520C, 0x9240_158C, *move(9, block), *move(10, 0x2_0026)]  # MRS X12, ESR_EL2; AND X12, X12, #0x3F
    handler += [0xF900_012A, 0xF900_052C, *move(0, 0x18), *move(1, block), HLT_SEMIHOSTING]
    words = head + [SPIN] * ((0x800 + 0x200) // 4 - len(head)) + handler
    machine, end, _ = boot(tmp_path, words)
    touches = [(t.pa, t.size, t.write) for t in machine.unclaimed.touches]
    lines = list(machine.unclaimed.report(machine.symbols))
    machine.close()
    assert end.code == abort
    if abort == 0x10:
        assert touches == [(address, 4, False)]
        assert lines[1].startswith(
            f"    read of 4 bytes at PA {address_text(address)} by normal world, PE 0, PC 0x8800"
        )
    else:
        assert touches == [] and lines == []

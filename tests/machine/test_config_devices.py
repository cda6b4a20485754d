"""Devices and consoles in machine files: what is wrong is one line with its place, and what is right is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from machine.config import MachineConfig, load
from machine.config.dump import resolved
from machine.config.types import Gicv3, TimerFrames
from machine.config.validate import gpt_ranges
from machine.config.windows import windows, wires

BOARD = """\
memory:
  dram: {base: 0x8000_0000, size: 64M}
  root: {base: 0x0400_0000, size: 4M, pas: root}
boot: {entry: 0x8000_0000}
"""
GIC = "gic: {type: gicv3, base: 0x2F00_0000, redistributors: 0x2F10_0000"
UART = "u: {type: pl011, base: 0x0900_0000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.yaml").write_text(BOARD)
    (tmp_path / "input").write_bytes(b"x")
    return tmp_path


def error(text: str) -> str:
    Path("m.yaml").write_text(f"layers: [board.yaml]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load("./m.yaml")
    line = str(caught.value)
    assert line.isprintable() and caught.value.exit_code == 2
    return line


# A line over the board, what the error points at (to the line's end, or its beginning), and what it says.
BROKEN = [
    (f"devices: {{{GIC}, spis: 33}}}}", "33}}", "devices.gic.spis: expected a multiple of 32, or 988, got 33"),
    (f"devices: {{{GIC}, spis: 1024}}}}", "1024}}", "devices.gic.spis: expected at most 988, got `1024`"),
    (f"devices: {{{GIC}, stride: 64K}}}}", "64K}}", "devices.gic.stride: expected at least 128K, got 64K"),
    (f"devices: {{{GIC}, stride: 132K}}}}", "132K}}", "devices.gic.stride: expected a multiple of 64K, got 0x21000"),
    (
        "devices: {gic: {type: gicv3, base: 0x2F00_1000, redistributors: 0x2F10_0000}}",
        "0x2F00_1000, redistributors: 0x2F10_0000}}",
        "devices.gic.base: expected a multiple of 64K, got 0x2f001000",
    ),
    (
        "devices: {gic: {type: gicv3, base: 0x2F00_0000}}",
        "gic: {type: gicv3, base: 0x2F00_0000}}",
        "devices.gic: the key `redistributors` is missing",
    ),
    (
        "devices: {gic: {type: gicv3, base: 0x2F00_0000, redistributors: 0x2F00_0000}}",
        "0x2F00_0000}}",
        "devices.gic (redistributors) (0x2f00_0000 + 128K) overlaps devices.gic (distributor) (0x2f00_0000 + 64K)",
    ),
    (
        f"devices: {{{GIC}}}, {UART.replace('0x0900_0000', '0x2F11_0000')}}}}}",
        "0x2F11_0000}}",
        "devices.u (0x2f11_0000 + 4K) overlaps",
    ),
    (
        f"devices: {{{GIC}, spis: 32}}, {UART}, interrupt: 64}}}}",
        "64}}",
        "devices.u.interrupt: expected 32 to 63, got 64 (devices.gic has 32 SPIs)",
    ),
    (
        f"devices: {{{GIC}}}, g: {{type: gicv3, base: 0x3000_0000, redistributors: 0x3010_0000}}}}",
        "gicv3, base: 0x3000_0000, redistributors: 0x3010_0000}}",
        "devices.g.type: devices.gic is the machine's interrupt controller",
    ),
    (
        "devices: {w: {type: sbsa-watchdog, base: 0x1000, refresh: 0x1000}}",
        "0x1000}}",
        "devices.w (refresh) (0x1000 + 4K) overlaps devices.w (control) (0x1000 + 4K) at ./m.yaml:2:42",
    ),
    (
        "devices: {w: {type: sbsa-watchdog, base: 0x1000, refresh: 0x2004}}",
        "0x2004}}",
        "devices.w.refresh: expected a multiple of 4K, got 0x2004",
    ),
    (
        "devices: {t: {type: timer-frames, base: 0x1000, frames: [{base: 0x8000_0000}]}}",
        "0x8000_0000}]}}",
        "devices.t (CNTBase0) (0x8000_0000 + 4K) overlaps memory.dram (0x8000_0000 + 64M)",
    ),
    (
        "devices: {t: {type: timer-frames, base: 0, frames: [{base: 0x2000, interrupt: 40, virtual_interrupt: 40}]}}",
        "40}]}}",
        "devices.t.frames[0].virtual_interrupt: 40 is the interrupt of devices.t",
    ),
    (
        "devices: {t: {type: timer-frames, base: 0x1000, frames: []}}",
        "frames: []}}",
        "devices.t.frames: expected at least 1 entries",
    ),
    ("devices: {w: {type: sp805, base: 0x1000, clock: 0}}", "0}}", "devices.w.clock: expected at least 1, got `0`"),
    ("devices: {r: {type: pl031, base: 0x1000, epoch: -1}}", "-1}}", "devices.r.epoch: expected at least 0, got `-1`"),
    (
        "devices: {f: {type: flash, base: 0, size: 384K}}",
        "384K}}",
        "devices.f.size: expected 256K times a power of 2, got 384K",
    ),
    (
        "devices: {f: {type: flash, base: 0, size: 4K}}",
        "4K}}",
        "devices.f.size: expected 256K times a power of 2, got 4K",
    ),
    ("devices: {f: {type: flash, base: 0, size: 1M, save: true}}", "true}}", "devices.f.save: needs `file`"),
    (
        "devices: {n: {type: nvm, base: 0, size: 4K, pas: any}}",
        "any}}",
        "devices.n.pas: memory belongs to one space, got any",
    ),
    (
        "devices: {s: {type: ns16550, base: 0, reg_shift: 4}}",
        "4}}",
        "devices.s.reg_shift: expected at most 3, got `4`",
    ),
    (
        f"devices: {{{UART}, pas: normal}}}}",
        "normal}}",
        "devices.u.pas: expected `non-secure`, `secure`, `realm`, `root` or `any`",
    ),
    (
        f"devices: {{{UART}, console: 'tcp:localhost:5000'}}}}",
        "'tcp:localhost:5000'}}",
        "devices.u.console: expected tcp:ADDRESS:PORT such as",
    ),
    (
        f"devices: {{{UART}, console: 'tcp:127.0.0.1:0'}}}}",
        "'tcp:127.0.0.1:0'}}",
        "devices.u.console: expected tcp:ADDRESS:PORT such as",
    ),
    (
        f"devices: {{{UART}, console: 'tcp:127.0.0.1:70000'}}}}",
        "'tcp:127.0.0.1:70000'}}",
        "devices.u.console: expected tcp:ADDRESS:PORT such as",
    ),
    (
        f"devices: {{{UART}, console: 'unix:{'x' * 101}'}}}}",
        "'unix:",
        "devices.u.console: the path of a socket has at most 100",
    ),
    (f"devices: {{{UART}, console: 'file:'}}}}", "'file:'}}", "devices.u.console: expected file:PATH, got `file:`"),
    (
        f"devices: {{{UART}, console: {'x' * 33}}}}}",
        "xxx",
        "devices.u.console: expected a label of at most 32 characters",
    ),
    (
        f"devices: {{{UART}, input: keyboard}}}}",
        "keyboard}}",
        "devices.u.input: expected `none`, `stdin` or `file:PATH`, got `keyboard`",
    ),
    (
        f"devices: {{{UART}, console: 'file:m.yaml'}}}}",
        "'file:m.yaml'}}",
        "devices.u.console: ./m.yaml would be overwritten: it is the",
    ),
    (
        f"devices: {{{UART}, input: 'file:input', console: 'file:./input'}}}}",
        "'file:./input'}}",
        "devices.u.console: ././input would be overwritten: it is devices.u.input",
    ),
    (
        "devices: {f: {type: flash, base: 0, size: 1M, save: true, file: m.yaml}}",
        "m.yaml}}",
        "devices.f.file: ./m.yaml would be overwritten: it is the machine file",
    ),
    (
        "devices: {e: {type: flash, base: 0x1000_0000, size: 1M, file: a}, "
        "f: {type: flash, base: 0, size: 1M, save: true, file: ./a}}",
        "./a}}",
        "devices.f.file: ././a would be overwritten: it is devices.e.file",
    ),
    (f"devices: {{{UART}, console: 'file:no/out'}}}}", "'file:no/out'}}", "devices.u.console: ./no: no such directory"),
    (
        f"devices: {{{UART}, console: 'file:out'}}, v: {{type: ns16550, base: 0x1000, console: 'file:out'}}}}",
        "'file:out'}}",
        "devices.v.console: ./out would be overwritten: it is devices.u.console",
    ),
    (f"devices: {{{UART}}}}}\nconsole: v", "v", "console: there is no UART `v` in devices (UARTs: u)"),
    ("console: u", "u", "console: there is no UART `u` in devices"),
    (
        "gpt: {open: [{base: 0x1, size: 4K}]}",
        "0x1, size: 4K}]}",
        "gpt.open[0].base: expected a multiple of 4K, got 0x1",
    ),
    ("gpt: {open: [{base: 0, size: 2T}]}", "0, size: 2T}]}", "gpt.open[0]: 0x0 + 2T ends beyond 2^40"),
]


@pytest.mark.parametrize(("text", "at", "message"), BROKEN, ids=[text[:60] for text, _, _ in BROKEN])
def test_broken_line__place_and_text(text: str, at: str, message: str) -> None:
    last = text.splitlines()[-1]
    column = (last.rindex(at) if last.endswith(at) else last.index(at)) + 1
    assert error(text).startswith(f"./m.yaml:{len(text.splitlines()) + 1}:{column}: {message}"), error(text)


def load_text(text: str) -> MachineConfig:
    Path("m.yaml").write_text(f"layers: [board.yaml]\n{text}\n")
    return load("./m.yaml")


def test_windows__redistributors_grow_with_the_pes() -> None:
    machine = load_text(f"cpu: {{count: 4}}\ndevices: {{{GIC}}}}}")
    assert [(w.base, w.size, w.part) for w in windows(machine)] == [
        (0x2F00_0000, 0x1_0000, "distributor"),
        (0x2F10_0000, 0x8_0000, "redistributors"),
    ]


def test_wires__all_interrupts_of_all_frames() -> None:
    machine = load_text(
        "devices: {t: {type: timer-frames, base: 0x1000, frames: "
        "[{base: 0x2000, interrupt: 40, virtual_interrupt: 41}, {base: 0x3000}, {base: 0x4000, interrupt: 42}]}}"
    )
    assert [wire.intid for wire in wires(machine)] == [40, 41, 42]


def test_gpt__device_spaces_over_the_open_background() -> None:
    machine = load_text(
        "gpt: {open: [{base: 0, size: 64M}]}\n"
        "devices: {a: {type: pl031, base: 0x1000, pas: secure}, b: {type: pl031, base: 0x0, pas: any}}"
    )
    from machine.gpt import GranuleProtectionTable

    gpt = GranuleProtectionTable(bytearray(4 << 20), 0x0400_0000, gpt_ranges(machine))
    assert [gpt.get(pa).text for pa in (0x0, 0x1000, 0x2000, 0x0400_0000, 0x0480_0000)] == [
        "any",
        "secure",
        "any",
        "root",
        "no-access",
    ]


def test_files__relative_to_the_machine_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "m.yaml").write_text(
        "layers: [../board.yaml]\n"
        "devices:\n"
        f"  {UART}, console: 'file:out', input: 'file:../input'}}\n"
        "  v: {type: ns16550, base: 0x1000, console: 'unix:sock,wait'}\n"
        "  f: {type: flash, base: 0x1000_0000, size: 1M, file: content, save: true}\n"
    )
    machine = load("sub/m.yaml")
    uart, other, flash = machine.devices["u"], machine.devices["v"], machine.devices["f"]
    assert (uart.console, uart.input) == ("file:sub/out", "file:sub/../input")  # type: ignore[union-attr]
    assert other.console == "unix:sub/sock,wait"  # type: ignore[union-attr]
    assert flash.file == "sub/content"  # type: ignore[union-attr]
    (tmp_path / "again.yaml").write_text(resolved(machine))
    again = load("./again.yaml")
    assert again.devices["u"].console == f"file:{tmp_path}/sub/out"  # type: ignore[union-attr]
    assert again.devices["v"].console == f"unix:{tmp_path}/sub/sock,wait"  # type: ignore[union-attr]


def test_defaults() -> None:
    machine = load_text(f"devices: {{{GIC}}}, t: {{type: timer-frames, base: 0, frames: [{{base: 0x1000}}]}}}}")
    gic, timers = machine.devices["gic"], machine.devices["t"]
    assert isinstance(gic, Gicv3) and (gic.stride, gic.spis, gic.pas) == (0x2_0000, 256, "any")
    assert isinstance(timers, TimerFrames) and timers.frames[0].interrupt is None

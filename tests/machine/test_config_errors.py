# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is wrong in a machine file is one line that says where, what was expected, and a hint."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigError
from machine.config import load
from machine.config.images import read_images
from machine.machine import Machine

from ..bridge.elf import NOP, elf, linux_image

BOARD = """\
memory:
  dram:   {base: 0x8000_0000, size: 512M, pas: non-secure}
  root:   {base: 0x0400_0000, size: 4M, pas: root}
  rmm:    {base: 0x0580_0000, size: 512K, pas: realm}
  secure: {base: 0x0600_0000, size: 1M, pas: secure}
devices:
  uart0: {type: pl011, base: 0x0900_0000, interrupt: 33, console: NS}
  uart1: {type: pl011, base: 0x0901_0000, interrupt: 34, console: realm 0}
load:
  host: {file: host.elf}
boot:
  entry: host
  info: 0x8700_0000
  stage: 0x9000_0000
  pool: {base: 0x9400_0000, size: 64M}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.yaml").write_text(BOARD)
    (tmp_path / "host.elf").write_bytes(elf(symbols=[("start", 0x8800_0000, 8), ("odd", 0x8800_0002, 2)]))
    (tmp_path / "raw.bin").write_bytes(NOP * 25)
    (tmp_path / "realm.elf").write_bytes(elf([(0x8000_1000, NOP, 0x3000)], symbols=[("main", 0x8000_1000, 4)]))
    (tmp_path / "Image").write_bytes(linux_image())
    return tmp_path


def error(text: str | bytes, *overrides: str) -> str:
    Path("m.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        read_images(load("./m.yaml", overrides))
    line = str(caught.value)
    assert line.isprintable() and caught.value.exit_code == 2
    return line


R = "realms: [{name: a, image: realm.elf, "
NAME = "expected a name of letters, digits, `_`, `-` and `.`"
SIZE = "expected a size such as 512M, 64K or 0x1000"
ADDRESS = "expected an address such as 0x4000_0000"

H = "host: {behaviour: ["
ONE = "realms: [{name: a, image: realm.elf}]"
KINDS = (
    "`reject-ripas`, `partial-ripas`, `deny-cpu-on`, `evict`, `inject-sea`, `ignore-mmio`, `delay-interrupt` or "
    "`duplicate-interrupt`"
)

# One broken line over the board: (line, column of the error, its text).
BROKEN = [
    ("memry: {}", 1, "unknown key `memry` (did you mean `memory`?)"),
    ("memory: {dram: {sise: 1G}}", 17, "memory.dram: unknown key `sise` (did you mean `size`?)"),
    ("memory: {dram: {size: lots}}", 23, f"memory.dram.size: {SIZE}, got `lots`"),
    ("memory: {dram: {size: 1.5G}}", 23, f"memory.dram.size: {SIZE}, got `1.5G`"),
    ("memory: {dram: {size: 010}}", 23, f"memory.dram.size: {SIZE}, got `010`"),
    ("memory: {dram: {size: true}}", 23, f"memory.dram.size: {SIZE}, got `true`"),
    ("memory: {dram: {size: [1]}}", 17, f"memory.dram.size: {SIZE}, got a list"),
    ("memory: {dram: {base: 1G}}", 23, f"memory.dram.base: {ADDRESS}, got `1G`"),
    ("memory: {dram: {base: -1}}", 23, "memory.dram.base: out of range: expected 0 to 2^64 - 1, got `-1`"),
    (
        "memory: {dram: {base: 0x8000_0001}}",
        23,
        "memory.dram.base: expected a multiple of 4K, got 0x80000001",
    ),
    ("memory: {dram: {size: 0}}", 23, "memory.dram.size: expected at least 4K, got 0"),
    ("memory: {dram: {size: 0x1001}}", 23, "memory.dram.size: expected a multiple of 4K, got 0x1001"),
    ("memory: {dram: {size: 512T}}", 4, "memory.dram: 0x8000_0000 + 512T ends beyond 2^40 (gpt.pps)"),
    (
        "cpu: {pa_bits: 32}\ngpt: {pps: 32}\nmemory: {dram: {size: 4G}}",
        0,
        "memory.dram: 0x8000_0000 + 4G ends beyond",
    ),
    (
        "memory: {dram: {pas: normal}}",
        22,
        "memory.dram.pas: expected `non-secure`, `secure`, `realm` or `root`, got `normal`",
    ),
    ("memory: {dram: {fill: 256}}", 23, "memory.dram.fill: expected at most 255, got `256`"),
    ("memory: {dram: {retain: 1}}", 25, "memory.dram.retain: expected true or false, got `1`"),
    ("memory: {dram: {retain: yes}}", 25, "memory.dram.retain: expected true or false, got `yes`"),
    ("memory: {'9x': {base: 0, size: 4K}}", 10, f"memory: {NAME}, got `9x`"),
    ("memory: {x: {base: 0}}", 10, "memory.x: the key `size` is missing"),
    ("memory: {dram: 5}", 16, "memory.dram: expected a mapping, got `5`"),
    ("memory: [1]", 1, "memory: expected a mapping, got a list"),
    ("memory: {root: null}", 0, "gpt.region: there is no memory region `root`"),
    (
        "devices: {uart0: {type: pl012}}",
        25,
        "devices.uart0.type: expected `pl011`, `ns16550`, `sp805`, `sp804`, `sp810`, `pl031`, `sbsa-watchdog`, ",
    ),
    ("devices: {u: {base: 0x1000}}", 11, "devices.u: the key `type` is missing"),
    ("devices: {uart0: {consol: x}}", 19, "devices.uart0: unknown key `consol` (did you mean `console`?)"),
    ("devices: {uart0: {console: 3}}", 28, "devices.uart0.console: expected text, got `3`"),
    ('devices: {uart0: {console: "\\e[2J"}}', 28, "devices.uart0.console: expected printable text"),
    (
        "devices: {uart0: {base: 0x0900_0010}}",
        25,
        "devices.uart0.base: expected a multiple of 4K, got 0x9000010",
    ),
    ("devices: {uart0: {interrupt: 5}}", 30, "devices.uart0.interrupt: expected 32 to 1019, got 5"),
    (
        "devices: {uart1: {interrupt: 33}}",
        30,
        "devices.uart1.interrupt: 33 is the interrupt of devices.uart0",
    ),
    (
        "devices: {n: {type: nvm, base: 0, size: 100}}",
        41,
        "devices.n.size: expected a multiple of 4K, got 0x64",
    ),
    ("gpt: {region: dram}", 15, "gpt.region: expected a region with pas: root, `dram` is non-secure"),
    ("gpt: {region: rot}", 15, "gpt.region: there is no memory region `rot` (did you mean `root`?)"),
    ("gpt: {pps: 41}", 12, "gpt.pps: expected `32`, `36`, `40`, `42`, `44`, `48` or `52`, got `41`"),
    (
        "gpt: {pps: 44}\ncpu: {pa_bits: 42}\nrmm: {features: {s2sz: 40}}",
        0,
        "gpt.pps: 44 bits, cpu.pa_bits has 42",
    ),
    ("gpt: {pgs: 64K}", 12, "gpt.pgs: expected `4K`, got `64K`"),
    (
        "gpt: {l0gptsz: 512G}",
        0,
        "memory.root.size: the granule protection table needs 128M from 0x0400_0000 on, got 4M",
    ),
    ("cpu: {count: 0}", 14, "cpu.count: expected at least 1, got `0`"),
    ("cpu: {count: -1}", 14, "cpu.count: expected at least 1, got `-1`"),
    (f"cpu: {{count: {'9' * 30}}}", 14, f"cpu.count: expected at most 8, got `{'9' * 30}`"),
    (f"cpu: {{count: {'9' * 9999}}}", 14, f"cpu.count: expected an integer, got `{'9' * 57}...`"),
    ("cpu: {features: {pauht: true}}", 18, "cpu.features: unknown key `pauht` (did you mean `pauth`?)"),
    ("cpu: {features: {hafdbs: ad}}", 26, "cpu.features.hafdbs: expected `none`, `af` or `dirty`, got `ad`"),
    ("cpu: {mpidr: [1, 2]}", 7, "cpu.mpidr: 2 values for 1 PEs"),
    ("cpu: {mpidr: [0x8000_0000]}", 15, "cpu.mpidr[0]: bits other than Aff0 to Aff3 are set in 0x80000000"),
    ("cpu: {count: 2, mpidr: [1, 1]}", 28, "cpu.mpidr[1]: 0x1 stands here twice"),
    ("cpu: {mpidr: [x]}", 15, f"cpu.mpidr[0]: {ADDRESS}, got `x`"),
    ("clock: {mode: host}", 15, "clock.mode: expected `virtual`, got `host`"),
    ("clock: {cntfrq: 0}", 17, "clock.cntfrq: expected at least 1, got `0`"),
    ("boot: {registers: {x31: 1}}", 20, "boot.registers: expected a register x0 to x30, got `x31`"),
    ("boot: {registers: {x3: abc}}", 24, f"boot.registers.x3: {ADDRESS}, got `abc`"),
    ("boot: {entry: 0x1000}", 15, "boot.entry: 0x1000 lies in no non-secure memory"),
    ("boot: {entry: 0x0600_0000}", 15, "boot.entry: 0x0600_0000 lies in memory.secure, which is secure"),
    ("boot: {entry: 0x8000_0002}", 15, "boot.entry: expected a multiple of 4, got 0x80000002"),
    ("boot: {entry: -4}", 15, "boot.entry:"),
    (
        "boot: {entry: hots}",
        15,
        "boot.entry: expected an address, a load or LOAD:SYMBOL; there is no load `hots` (did",
    ),
    (
        "boot: {entry: 'host:strat'}",
        15,
        "boot.entry: host.elf has no symbol `strat` (did you mean `start`?)",
    ),
    ("boot: {entry: 'host:odd'}", 15, "boot.entry: `odd` at 0x88000002 is not a multiple of 4"),
    ("boot: {entry: [1]}", 8, "boot.entry: expected an integer or text, got a list"),
    ("boot: {el: 3}", 12, "boot.el: expected `1` or `2`, got `3`"),
    ("boot: {world: realm}", 15, "boot.world: expected `normal` or `secure`, got `realm`"),
    (
        "boot: {world: secure, el: 2, entry: 0x0600_0000}",
        27,
        "boot.el: the secure world starts at EL1, got 2",
    ),
    (
        "boot: {pool: {base: 0x0400_0000, size: 4K}}",
        8,
        "boot.pool: 0x0400_0000 + 4K lies in memory.root, which is",
    ),
    (
        "boot: {pool: {base: 0x9fff_f000, size: 8K}}",
        8,
        "boot.pool: 0x9fff_f000 + 8K leaves memory.dram (0x8000_0000",
    ),
    ("boot: {pool: {base: 0x8700_0000, size: 4K}}", 0, "boot.pool (0x8700_0000 + 4K) overlaps boot.info"),
    ("boot: {pool: {size: 0}}", 21, "boot.pool.size: expected at least 4K, got 0"),
    ("boot: {info: 0x1}", 14, "boot.info: expected a multiple of 4K, got 0x1"),
    ("realms: [{name: a}]", 10, "realms[0]: the key `image` is missing"),
    ("realms: {a: 1}", 1, "realms: expected a list, got a mapping"),
    ("realms: [3]", 10, "realms[0]: expected a mapping, got `3`"),
    ("realms: [{name: 'a b', image: x}]", 17, f"realms[0].name: {NAME}, got `a b`"),
    (R + "ipa_bits: 31}]", 48, "realms[0].ipa_bits: expected at least 32, got `31`"),
    (R + "ipa_bits: 49}]", 48, "realms[0].ipa_bits: 49 bits, rmm.features.s2sz has 48"),
    (R + "hash: md5}]", 44, "realms[0].hash: expected `sha256` or `sha512`, got `md5`"),
    (
        R + "hash: sha512}]\nrmm: {features: {sha512: false}}",
        44,
        "realms[0].hash: sha512 is off in rmm.features",
    ),
    (
        R + "recs: 9}]\nrmm: {features: {max_recs_order: 3}}",
        44,
        "realms[0].recs: 9 RECs, rmm.features.max_recs_order",
    ),
    (R + "recs: 0}]", 44, "realms[0].recs: expected at least 1, got `0`"),
    (
        R + "personalization: 'hex:zz'}]",
        55,
        "realms[0].personalization: expected pairs of hexadecimal digits",
    ),
    (
        R + f"personalization: {'p' * 65}}}]",
        55,
        "realms[0].personalization: 65 bytes, a realm personalization value",
    ),
    (
        R + "ram: {base: 0xFFFF_0000, size: 1M}}]",
        50,
        "realms[0].ram.base: the RAM (0xffff_0000 + 1M) leaves the pro",
    ),
    (R + "ram: {base: 1, size: 1M}}]", 50, "realms[0].ram.base: expected a multiple of 4K, got 0x1"),
    (
        R + "ram: {base: 0x8000_0000, size: 8K}}]",
        27,
        "realms[0].image: ./realm.elf takes 0x8000_1000 to 0x8000_3ff",
    ),
    (
        R + "at: 0x8000_0000}]",
        42,
        "realms[0].at: ./realm.elf is an ELF: it stands at its own addresses (0x8000_1000)",
    ),
    (R + "at: 0x1000}]", 42, "realms[0].at: 0x1000 lies outside the realm's RAM"),
    (R + "at: 0x8000_0004}]", 42, "realms[0].at: expected a multiple of 4K, got 0x80000004"),
    (R + "entry: 0}]", 45, "realms[0].entry: 0x0 lies outside the realm's RAM"),
    (R + "entry: mian}]", 45, "realms[0].entry: realm.elf has no symbol `mian` (did you mean `main`?)"),
    (R + "recs: 1}, {name: a, image: x}]", 55, "realms[1].name: `a` is the name of another realm"),
    ("realms: [{name: a, image: nope}]", 27, "nope: No such file or directory"),
    ("realms: [{name: a, image: 'firmware:no/../x'}]", 27, "there is no firmware `no/../x`"),
    (
        R + "recs: 1}]\nboot: {pool: null}",
        0,
        "boot.pool is missing: the host that builds the realms needs it",
    ),
    (R + "recs: 1}]\nmemory: {rmm: null}", 0, "memory: the RMM needs a region with pas: realm"),
    (
        R + "recs: 1}]\nboot: {stage: 0x93ff_e000}",
        27,
        "the staged image of realm a (0x93ff_e000 + 12K) overlaps boot.pool",
    ),
    ("rmm: {features: {s2sz: 52}}", 24, "rmm.features.s2sz: 52 bits need lpa2: true"),
    ("rmm: {features: {s2sz: 52, lpa2: true}}", 24, "rmm.features.s2sz: 52 bits, cpu.pa_bits has 48"),
    ("rmm: {features: {sve: true}}", 23, "rmm.features.sve: needs cpu.features.sve: true"),
    ("rmm: {features: {pmu: true}}", 23, "rmm.features.pmu: needs cpu.features.pmu: true"),
    (
        "rmm: {features: {sha256: false, sha512: false}}",
        26,
        "rmm.features.sha256: at least one hash algorithm must",
    ),
    ("rmm: {feature: {}}", 7, "rmm: unknown key `feature` (did you mean `features`?)"),
    ("limits: {time: soon}", 16, "limits.time: expected a time such as 60s, 1.5ms or 0 for none, got `soon`"),
    (
        "limits: {time: 99999999h}",
        16,
        "limits.time: out of range: expected at most 292 years, got `99999999h`",
    ),
    ("semihosting: 3", 14, "semihosting: expected true or false, got `3`"),
    ("description: 5", 14, "description: expected text, got `5`"),
    ("load: {host: {file: nope.bin}}", 21, "nope.bin: No such file or directory"),
    ("load: {host: {file: .}}", 21, ".: Is a directory"),
    ("load: {host: {file: /dev/zero}}", 21, "/dev/zero: not a file"),
    ('load: {host: {file: "a\\0b"}}', 21, "NUL in the name of a file"),
    ("load: {host: {file: 'firmware:hots'}}", 21, "there is no firmware `hots`"),
    ("load: {host: {file: raw.bin}}", 21, "load.host: ./raw.bin is a raw binary: the key `at` is missing"),
    ("load: {host: {file: Image}}", 21, "load.host: ./Image is an arm64 Image: the key `at` is missing"),
    (
        "load: {host: {at: 0x8800_0000}}",
        19,
        "host.elf: an ELF with addresses of its own cannot be placed at",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x400_0000}}",
        18,
        "load.x: ./raw.bin: 0x0400_0000 + 0x64 lies in memory.root",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x9fff_fff0}}",
        18,
        "load.x: ./raw.bin: 0x9fff_fff0 + 0x64 leaves memory.dram",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x8800_0008}}",
        18,
        "load.x (0x8800_0008 + 0x64) overlaps load.host (0x8800_0000",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x9400_0000}}",
        18,
        "load.x (0x9400_0000 + 0x64) overlaps boot.pool (0x94",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x8700_0000}}",
        18,
        "load.x (0x8700_0000 + 0x64) overlaps boot.info (0x87",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x8100_0000, world: secure}}",
        18,
        "load.x: ./raw.bin: 0x8100_0000 + 0x64 lies in",
    ),
    (
        "load: {host: null}",
        0,
        "boot.entry: expected an address, a load or LOAD:SYMBOL; there is no load `host`",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x600_0000, world: secure}}\nboot: {entry: x}",
        0,
        "boot.entry: load.x is in the se",
    ),
    ("secure: {}", 0, "secure.entry is missing, and nothing is loaded for the secure world"),
    ("secure: {entry: 0x8100_0000}", 17, "secure.entry: 0x8100_0000 lies in memory.dram, which is non-secure"),
    ("secure: {entry: 0x600_0002}", 17, "secure.entry: expected a multiple of 4, got 0x6000002"),
    ("secure: {entry: hots}", 17, "secure.entry: expected an address, a load or LOAD:SYMBOL; there is no load `hots`"),
    ("secure: {entry: host}", 17, "secure.entry: load.host is in the normal world"),
    ("secure: {entry: 0x600_0000, uuid: 1}", 35, "secure.uuid: expected"),
    (
        "secure: {entry: 0x600_0000, uuid: 00000000-0000-0000-0000-000000000000}",
        35,
        "secure.uuid: the nil UUID names no partition",
    ),
    (
        "load: {x: {file: raw.bin, at: 0x600_0000, world: secure}, y: {file: raw.bin, at: 0x600_1000, world: secure}}\n"
        "secure: {}",
        0,
        "secure.entry: give it: could be any of x, y",
    ),
    ("load: {x: {file: realm.elf}}\nboot: {entry: null}", 0, "boot.entry: give it: could be any of host, x"),
    ("host: {behaviour: [{type: reject-ripas}]}", 27, "host.behaviour[0].type: the machine has no realms that could"),
    (
        H + "{type: reject-ripas}]}\nboot: {host: vmm}\n" + ONE,
        27,
        "host.behaviour[0].type: a way of the host firmware, boot.host is vmm",
    ),
    (
        "boot: {host: vmm}\nrealms: [{name: a, image: realm.elf}, {name: b, image: realm.elf}]",
        14,
        "boot.host: vmm: it runs one realm, `realms` has 2",
    ),
    (H + "{type: evct}]}\n" + ONE, 27, f"host.behaviour[0].type: expected {KINDS}, got `evct` (did you mean `evict`?)"),
    (H + "{type: evict}]}\n" + ONE, 20, "host.behaviour[0]: the key `ipa` is missing"),
    (H + "{type: partial-ripas, pages: 0}]}\n" + ONE, 49, "host.behaviour[0].pages: expected at least 1, got `0`"),
    (H + "{type: reject-ripas, realm: b}]}\n" + ONE, 48, "host.behaviour[0].realm: there is no realm `b`"),
    (
        H + "{type: deny-cpu-on, rec: 1}]}\n" + ONE,
        45,
        "host.behaviour[0].rec: 1: the realms that it concerns have 1 RECs",
    ),
    (
        H + "{type: deny-cpu-on, rec: -1}]}\n" + ONE,
        45,
        "host.behaviour[0].rec: -1: the realms that it concerns have 1 RECs",
    ),
    (
        H + "{type: evict, ipa: 0x8000_0001}]}\n" + ONE,
        39,
        "host.behaviour[0].ipa: expected a multiple of 4K, got 0x80000001",
    ),
    (
        H + "{type: evict, ipa: 0x8100_0000}]}\n" + ONE,
        39,
        "host.behaviour[0].ipa: 0x8100_0000 lies in no RAM of a realm",
    ),
    (
        H + "{type: inject-sea, ipa: 0x1_0900_0000}]}\n" + ONE,
        44,
        "host.behaviour[0].ipa: 0x0001_0900_0000 lies beyond half the",
    ),
    (H + "{type: ignore-mmio, ipa: 0x10}]}\n" + ONE, 45, "host.behaviour[0].ipa: expected a multiple of 4K, got 0x10"),
]


@pytest.mark.parametrize(("text", "column", "message"), BROKEN, ids=[text[:50] for text, _, _ in BROKEN])
def test_broken_line__place_and_text(folder: Path, text: str, column: int, message: str) -> None:
    line = error("layers: [board.yaml]\n" + text)
    if column > 4:
        assert line.startswith(f"./m.yaml:2:{column}: {message}"), line
    else:
        # The key at fault stands in the board, or on another line than the one that broke it.
        place, _, rest = line.partition(": ")
        assert rest.startswith(message), line
        assert place.startswith(("./m.yaml:", "./board.yaml:")), line


def test_overlap__names_both_lines(folder: Path) -> None:
    line = error("layers: [board.yaml]\nmemory:\n  x: {base: 0x8100_0000, size: 4K}\n")
    assert line == (
        "./m.yaml:3:13: memory.x (0x8100_0000 + 4K) overlaps memory.dram (0x8000_0000 + 512M) at ./board.yaml:2:18"
    )
    line = error("layers: [board.yaml]\ndevices:\n  u: {type: pl011, base: 0x8000_0000}\n")
    assert line.startswith("./m.yaml:3:26: devices.u (0x8000_0000 + 4K) overlaps memory.dram")


NOT_YAML = [
    ("", "./m.yaml: empty: expected a machine file"),
    ("# nothing\n", "./m.yaml: empty: expected a machine file"),
    ("3", "./m.yaml:1:1: expected a mapping with keys such as `memory`, got `3`"),
    ("- a", "./m.yaml:1:1: expected a mapping with keys such as `memory`, got a list"),
    ("~", "./m.yaml:1:1: expected a mapping with keys such as `memory`, got nothing"),
    ("description: x", "./m.yaml:1:1: the key `memory` is missing"),
    ("memory: null", "./m.yaml:1:1: the key `memory` is missing"),
    ("memory: {}", "./m.yaml:1:1: memory: expected at least 1 entries"),
    ("a: 1\nb: [", "./m.yaml:3:1: not YAML: did not find expected node content"),
    ("a: b: c", "./m.yaml:1:5: not YAML: mapping values are not allowed in this context"),
    ("a: 1\na: 2", "./m.yaml:2:1: key `a` stands here twice, first on line 1"),
    ("a: &x [*x]", "./m.yaml:1:8: alias `*x` stands inside what it names"),
    ("a: *x", "./m.yaml:1:4: alias `*x` names no anchor"),
    ("<<: {a: 1}", "./m.yaml:1:1: merge keys (`<<`) are not supported: use `layers`"),
    (
        "a: !!python/name:os.system x",
        "./m.yaml:1:4: tags such as `tag:yaml.org,2002:python/name:os.system` are not",
    ),
    ("? [a]\n: b", "./m.yaml:1:3: a key must be text"),
    ("--- {}\n--- {}", "./m.yaml:2:1: expected one document, got a second one"),
    ("[" * 100_000, "./m.yaml:1:33: nested more than 32 deep"),
    ("- " * 100_000, "./m.yaml:1:65: nested more than 32 deep"),
    ("a: \x01", "./m.yaml:1:1: not YAML: control characters are not allowed"),
    (b"a: 1\nb: \xff", "./m.yaml:2:4: expected UTF-8, got byte 0xff"),
    (b"a: '" + b"x" * (1 << 20) + b"'", "./m.yaml: larger than 1024K: not a machine file"),
    (
        "a: &a0 [x, x]\n" + "".join(f"a{i}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(30)),
        "./m.yaml:6:15: more than 50000 values, aliases counted: not a machine file",
    ),
]


@pytest.mark.parametrize(("text", "message"), NOT_YAML, ids=range(len(NOT_YAML)))
def test_not_a_machine_file__one_line(folder: Path, text: str | bytes, message: str) -> None:
    assert error(text).startswith(message)


def test_layers__missing_cyclic_and_wrong(folder: Path) -> None:
    assert error("layers: [nope]") == "./m.yaml:1:10: layer `nope`: no such file"
    assert (
        error("layers: [boards/mimi]")
        == "./m.yaml:1:10: layer `boards/mimi`: no such file (did you mean `boards/mini`?)"
    )
    assert error("layers: x") == "./m.yaml:1:9: layers: expected a list of machine files, got `x`"
    assert error("layers: [3]") == "./m.yaml:1:10: layers: expected the path of a machine file, got `3`"
    assert error("layers: [m.yaml]") == "./m.yaml:1:10: layer `m.yaml` builds on this file itself"
    assert error("layers: [.]") == "./.: a directory, expected a machine file"
    Path("b.yaml").write_text("layers: [./m.yaml]")
    assert error("layers: [b.yaml]") == "./b.yaml:1:10: layer `./m.yaml` builds on this file itself"
    Path("b.yaml").write_text("memroy: {}")
    assert error("layers: [b.yaml]") == "./b.yaml:1:1: unknown key `memroy` (did you mean `memory`?)"
    for i in range(40):
        Path(f"l{i}.yaml").write_text(f"layers: [l{i + 1}.yaml]")
    assert error("layers: [l0.yaml]").endswith("more than 32 files in one machine")
    os.mkfifo("fifo.yaml")
    assert error("layers: [fifo.yaml]") == "./fifo.yaml: not a file"


OVERRIDES = [
    ("memory.drma.size=1G", "there is no `drma` in `memory` (did you mean `dram`?)"),
    ("memory.dram.siez=1", "memory.dram: unknown key `siez` (did you mean `size`?)"),
    ("memory.dram.size=lots", f"memory.dram.size: {SIZE}, got `lots`"),
    ("cpu.cout=4", "cpu: unknown key `cout` (did you mean `count`?)"),
    ("realms.helo.recs=4", "there is no element `helo` (did you mean `hello`?)"),
    ("realms.3.recs=1", "there is no element 3: the list has 1"),
    ("realms.0.recs=x", "realms[0].recs: expected an integer, got `x`"),
    ("realms.0=null", "realms[0]: expected a mapping, got nothing"),
    ("cpu", "expected KEY=VALUE such as memory.dram.size=1G"),
    ("=3", "expected KEY=VALUE such as memory.dram.size=1G"),
    ("a..b=1", "expected KEY=VALUE such as memory.dram.size=1G"),
    ("cpu.count=[", "not YAML: did not find expected node content"),
    ("semihosting.x=false", "semihosting: expected true or false, got a mapping"),
    (
        "description.x=1",
        "`x` stands below `a realm of one REC that says hello by RSI_HOST_CALL and ends`, which is no",
    ),
]


@pytest.mark.parametrize(("override", "message"), OVERRIDES)
def test_override__one_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("hello-realm", [override])
    assert str(caught.value).startswith(f"-s {override}: {message}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("helo-realm", "helo-realm: no such machine file (did you mean `hello-realm`?)"),
        ("../configs/hello-realm", "../configs/hello-realm: no such machine file"),
        ("/tmp", "/tmp: a directory, expected a machine file"),
        ("/dev/zero", "/dev/zero: not a file"),
        ("", "expected the name or the path of a machine file"),
        ("a\0b", "expected the name or the path of a machine file"),
        ("\x1b[2J", "\\x1b[2J: no such machine file"),
    ],
)
def test_name__one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert str(caught.value).startswith(message) and str(caught.value).isprintable()


KEYS = st.sampled_from(
    [
        "memory",
        "dram",
        "root",
        "base",
        "size",
        "pas",
        "retain",
        "fill",
        "gpt",
        "region",
        "pps",
        "devices",
        "uart0",
        "type",
        "interrupt",
        "console",
        "load",
        "host",
        "file",
        "at",
        "world",
        "boot",
        "entry",
        "registers",
        "x0",
        "info",
        "pool",
        "stage",
        "realms",
        "name",
        "image",
        "ram",
        "ipa_bits",
        "hash",
        "recs",
        "personalization",
        "rmm",
        "features",
        "s2sz",
        "lpa2",
        "cpu",
        "count",
        "pa_bits",
        "mpidr",
        "limits",
        "time",
        "layers",
        "description",
        "clock",
        "cntfrq",
    ]
) | st.text(max_size=4)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.text(max_size=6)
    | st.sampled_from(["1G", "0x8000_0000", "pl011", "nvm", "root", "realm", "firmware:x", "hex:00", "host", "60s"])
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def survives(text: bytes) -> None:
    Path("f.yaml").write_bytes(text)
    try:
        read_images(load("./f.yaml"))
    except ConfigError as caught:
        assert str(caught).isprintable()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab:{}[]-,&*!|>'\"#%@?\n \t0x_1G~", max_size=60) | st.binary(max_size=60))
@example(text=b"\xef\xbb\xbfa: 1")
@example(text="&a : *a")
@example(text="? ")
@example(text="%YAML 9.9\n--- a")
def test_any_text__config_or_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    survives(text if isinstance(text, bytes) else text.encode())


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(KEYS, TREES, max_size=5))
def test_any_structure__config_or_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, object]
) -> None:
    import yaml

    survives(yaml.safe_dump(tree, allow_unicode=True).encode())
    tree["layers"] = ["board.yaml"]
    survives(yaml.safe_dump(tree, allow_unicode=True).encode())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_one_value__config_or_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    import yaml

    machine = yaml.safe_load(BOARD)
    machine["realms"] = [{"name": "a", "image": "realm.elf", "ram": {"base": 0x8000_0000, "size": "1M"}}]
    here, key = machine, data.draw(st.sampled_from(sorted(machine)))
    while isinstance(here[key], (dict, list)) and data.draw(st.booleans()):
        here = here[key]
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
    here[key] = data.draw(LEAVES | TREES)
    survives(yaml.safe_dump(machine).encode())


@settings(max_examples=150, deadline=None)
@given(override=st.text(max_size=30) | st.builds("{}.{}={}".format, KEYS, KEYS, st.text(max_size=8)))
def test_any_override__config_or_one_line(override: str) -> None:
    try:
        load("hello-realm", [override])
    except ConfigError as caught:
        assert str(caught).isprintable()


def test_memory__that_this_computer_does_not_give(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_keywords: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    Path("m.yaml").write_text("layers: [board.yaml]\nmemory:\n  dram: {size: 1G}\n")
    config = load("./m.yaml")
    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(ConfigError) as caught:
        Machine(config, lambda _line: None)
    assert str(caught.value) == "./m.yaml:3:16: memory.dram.size: 1G of memory: Cannot allocate memory here"


def test_vmm_kernel__firmware_that_there_is_none_of(folder: Path) -> None:
    assert error("layers: [boards/vmm.yaml]\nvmm: {kernel: 'firmware:nosuch'}\n").startswith(
        "./m.yaml:2:15: vmm.kernel: there is no firmware `nosuch`"
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""From YAML text to a machine: scalars, layers, overrides, defaults, the cache, and back to YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from machine.config import MachineConfig, docs, load, schema, shipped, tree
from machine.config.dump import resolved
from machine.config.images import read_images
from machine.config.scalars import Address, Duration, Size, address_text, duration_text, size_text
from machine.config.types import MachineFile, Nvm, Pl011

from ..bridge.elf import NOP, elf, linux_image

SMALL = """\
memory:
  dram: {base: 0x8000_0000, size: 64M}
  root: {base: 0x0400_0000, size: 1M, pas: root}
boot: {entry: 0x8000_0000}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def machine(text: str, *overrides: str) -> MachineConfig:
    Path("m.yaml").write_text(text)
    return load("./m.yaml", overrides)


def same(a: MachineConfig, b: MachineConfig) -> bool:
    fields = [name for name in MachineFile.__struct_fields__ if name != "layers"]
    return all(getattr(a, name) == getattr(b, name) for name in fields)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4096", 4096),
        ("0x4000_0000", 1 << 30),
        ("4K", 4096),
        ("512M", 512 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
    ]
    + [
        ("64KiB", 64 << 10),
        ("1_000", 1000),
        ("0b101", 5),
        ("0", 0),
        ("0xFFFF_FFFF_FFFF_FFFF", (1 << 64) - 1),
    ],
)
def test_size__spellings(text: str, value: int) -> None:
    assert Size.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1k",
        "1GB",
        "K",
        "0x",
        "1__0",
        "_1",
        "1_",
        "010",
        "1.5",
        "1e3",
        "-1",
        " 1",
        "18446744073709551616",
        "16777216T",
    ],
)
def test_size__refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Size.parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60s", 60 * 10**9),
        ("1.5ms", 1_500_000),
        ("20us", 20_000),
        ("3ns", 3),
        ("2min", 120 * 10**9),
        (7, 7 * 10**9),
    ],
)
def test_duration__spellings(text: str | int, value: int) -> None:
    assert Duration.parse(text) == value


@given(value=st.integers(0, (1 << 64) - 1))
def test_scalar_texts__read_back(value: int) -> None:
    assert Address.parse(address_text(value)) == value
    assert Size.parse(size_text(value)) == value
    assert Duration.parse(duration_text(value >> 1)) == value >> 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x8000_0000", 0x8000_0000),
        ("'0x10'", "0x10"),
        ("017", "017"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("NS", "NS"),
        ("true", True),
        ("1.5", "1.5"),
        ("!!str 12", "12"),
        ("-4", -4),
        ("2020-01-01", "2020-01-01"),
        ("realm 0", "realm 0"),
    ],
)
def test_yaml__scalars(text: str, value: object) -> None:
    assert tree.parse(f"a: {text}", "f").plain() == {"a": value}


def test_yaml__aliases_are_copies_with_their_own_key() -> None:
    root = tree.parse("a: &x {k: 1}\nb: *x\nc: [*x, *x]\n", "f")
    assert root.plain() == {"a": {"k": 1}, "b": {"k": 1}, "c": [{"k": 1}, {"k": 1}]}
    assert isinstance(root.value, dict) and root.value["b"].where_key() == "f:2:1"


def test_defaults(folder: Path) -> None:
    config = machine(SMALL)
    assert (config.cpu.count, config.cpu.pa_bits, config.cpu.features.pauth) == (1, 48, False)
    assert (config.clock.cntfrq, config.gpt.pps, config.gpt.l0_bits) == (10**9, 40, 30)
    features = config.rmm.features
    assert features.s2sz == 48 and features.sha256 and features.sha512 and features.max_recs_order == 10
    assert features.num_bps >= 1 and features.num_wps >= 1 and features.list_registers >= 4
    assert config.memory["dram"].pas == "non-secure" and config.limits.time == 0


def test_layers__order_and_merge(folder: Path) -> None:
    Path("a.yaml").write_text("cpu: {count: 2, seed: 5}\nmemory: {x: {base: 0x9000_0000, size: 4K}}\n")
    Path("b.yaml").write_text("cpu: {count: 3}\nmemory: {x: {size: 8K}}\n")
    config = machine("layers: [small.yaml, a.yaml, b.yaml]\ncpu: {pa_bits: 44}\nrmm: {features: {s2sz: 40}}")
    assert (config.cpu.count, config.cpu.seed, config.cpu.pa_bits) == (3, 5, 44)
    assert (config.memory["x"].base, config.memory["x"].size) == (0x9000_0000, 8192)


def test_layers__null_deletes_and_lists_are_replaced(folder: Path) -> None:
    Path("a.yaml").write_text(
        "layers: [small.yaml]\nmemory: {x: {base: 0x9000_0000, size: 4K}}\ncpu: {count: 2, mpidr: [0, 1]}"
    )
    config = machine("layers: [a.yaml]\nmemory: {x: null}\ncpu: {mpidr: [2, 3], seed: null}")
    assert "x" not in config.memory and config.cpu.mpidr == [2, 3] and config.cpu.seed == 1


def test_layers__relative_to_the_file_that_names_them(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "raw.bin").write_bytes(NOP)
    (folder / "sub" / "b.yaml").write_text("layers: [../small.yaml]\nload: {x: {file: raw.bin, at: 0x8000_0000}}")
    config = machine("layers: [sub/b.yaml]")
    assert Path(config.load["x"].file) == Path("sub/raw.bin")
    assert read_images(config).loads["x"].base == 0x8000_0000


def test_layers__shipped_name(folder: Path) -> None:
    assert machine("layers: [boards/mini]").memory == load("boards/mini").memory
    (folder / "boards").mkdir()
    (folder / "boards" / "mini.yaml").write_text(SMALL)
    config = machine("layers: [boards/mini.yaml]")
    assert config.memory["dram"].size == 64 << 20, "a file beside this one comes before a shipped one"


def test_name__path_before_shipped_name_only_when_it_looks_like_one(folder: Path) -> None:
    (folder / "qemu-virt").mkdir()
    assert load("qemu-virt").memory["dram"].base == 0x4000_0000
    (folder / "qemu-virt.yaml").write_text(SMALL)
    assert load("qemu-virt.yaml").memory["dram"].base == 0x8000_0000


def test_overrides__in_order_over_everything(folder: Path) -> None:
    config = machine(SMALL, "memory.dram.size=1G", "cpu.count=2", "cpu.count=4", "cpu.features={lse: false}")
    assert (config.memory["dram"].size, config.cpu.count, config.cpu.features.lse) == (1 << 30, 4, False)


def test_overrides__new_entry_list_element_and_delete() -> None:
    config = load("hello-realm", ["memory.x={base: 0x1000, size: 4K}", "realms.hello.recs=4", "realms.0.name=other"])
    assert config.memory["x"].base == 0x1000
    assert [(realm.name, realm.recs) for realm in config.realms] == [("other", 4)]
    assert load("hello-realm", ["realms=[]", "devices.uart1="]).devices.keys() == {"uart0"}


def test_overrides__files_are_relative_to_the_working_directory(folder: Path) -> None:
    assert load("hello-realm", ["load.host.file=a.elf"]).load["host"].file == "a.elf"


def test_extra__layer_of_a_program(folder: Path) -> None:
    config = load("boards/mini", extra={"realms": [{"name": "mine", "image": Path("mine.elf")}]})
    assert config.realms[0].image == "mine.elf"
    with pytest.raises(ConfigError, match=r"^my\.elf: realms\[0\]: the key `image` is missing"):
        load("boards/mini", extra={"realms": [{"name": "mine"}]}, label="my.elf")


def test_entry__quoted_number(folder: Path) -> None:
    assert load("qemu-virt", extra={"boot": {"entry": "0x5000_0000"}}).boot.entry == 0x5000_0000


def test_source__place_of_a_key(folder: Path) -> None:
    config = machine("layers: [small.yaml]\ncpu:\n  count: 2\n")
    assert config.source.where("cpu", "count") == "./m.yaml:3:10"
    assert config.source.where("cpu", "features", "lse") == "./m.yaml:2:1"
    assert config.source.where("memory", "dram", "size") == "./small.yaml:2:35"


def test_devices__by_type() -> None:
    devices = load("hello-realm", ["devices.nv={type: nvm, base: 0x0A00_0000, size: 64K}"]).devices
    assert isinstance(devices["uart0"], Pl011) and devices["uart0"].interrupt == 33
    assert isinstance(devices["nv"], Nvm) and devices["nv"].fill == 0xFF and devices["nv"].retain


def test_rpv__text_and_hex() -> None:
    def rpv(text: str) -> bytes:
        return load("hello-realm", [f"realms.0.personalization='{text}'"]).realms[0].rpv

    assert rpv("") == bytes(64)
    assert rpv("hi") == b"hi" + bytes(62)
    assert rpv("hex:00ff 01") == b"\x00\xff\x01" + bytes(61)
    assert rpv("p" * 64) == b"p" * 64


# Images


def test_images__elf_image_and_raw(folder: Path) -> None:
    Path("host.elf").write_bytes(elf(symbols=[("start", 0x8800_0004, 4)]))
    Path("raw.bin").write_bytes(b"raw")
    Path("linux").write_bytes(linux_image(text_offset=0x1000))
    config = load(
        "boards/mini",
        [
            "load.host.file=host.elf",
            "load.raw={file: raw.bin, at: 0x8900_0000}",
            "load.linux={file: linux, at: 0x8A00_0000}",
        ],
    )
    images = read_images(config)
    assert images.entry == 0x8800_0000
    assert [(name, image.kind, image.entry) for name, image in images.loads.items()] == [
        ("host", "elf", 0x8800_0000),
        ("raw", "raw", 0x8900_0000),
        ("linux", "image", 0x8A00_1000),
    ]
    assert read_images(load("boards/mini", ["load.host.file=host.elf", "boot.entry=host:start"])).entry == 0x8800_0004
    assert read_images(load("boards/mini", ["load.host.file=host.elf", "boot.entry="])).entry == 0x8800_0000


def test_images__realms_are_staged_one_after_the_other(folder: Path) -> None:
    Path("host.elf").write_bytes(elf())
    Path("a.elf").write_bytes(elf([(0x8000_1004, b"data", 0x1000)], symbols=[("go", 0x8000_1008, 4)]))
    Path("b.bin").write_bytes(b"raw")
    realms = "[{name: a, image: a.elf, entry: go}, {name: b, image: b.bin, at: 0x8000_2000}]"
    first, second = read_images(load("boards/mini", ["load.host.file=host.elf", f"realms={realms}"])).realms
    assert (first.base, first.size, first.stage, first.entry) == (
        0x8000_1000,
        0x2000,
        0x9000_0000,
        0x8000_1008,
    )
    assert first.content() == bytes(4) + b"data" + bytes(0x2000 - 8)
    assert (second.base, second.size, second.stage, second.entry) == (
        0x8000_2000,
        0x1000,
        0x9000_2000,
        0x8000_2000,
    )
    assert second.content() == b"raw" + bytes(0xFFD)


# What comes along


@pytest.mark.parametrize("name", shipped.names(boards=True))
def test_shipped__loads_and_says_what_it_shows(name: str) -> None:
    path = shipped.find(name)
    assert path is not None
    depth = "../" * (2 + name.count("/") - 1)
    assert path.read_text().startswith(f"# yaml-language-server: $schema={depth}machine/machine.schema.json\n# ")
    assert len(shipped.first_comment(path)) > 20
    load(name)


def test_shipped__names() -> None:
    assert {"hello-realm", "rsi-tour", "ripas", "destroyed", "faults", "attacker", "qemu-virt"} <= set(shipped.names())
    assert shipped.find("hello-realm.yaml") == shipped.find("hello-realm")
    assert shipped.find("../pyproject.toml") is None and shipped.find("/etc/passwd") is None


def test_qemu_virt__board() -> None:
    config = load("qemu-virt")
    normal = [r for r in config.memory.values() if r.pas == "non-secure"]
    assert normal[0].base == 0x4000_0000 and normal[0].size >= 3 << 30
    dram_end = normal[0].base + normal[0].size
    others = [r for r in config.memory.values() if r.pas != "non-secure"]
    assert all(r.base >= dram_end or r.base + r.size <= 0x4000_0000 for r in others)
    uart = config.devices["uart0"]
    assert isinstance(uart, Pl011) and (uart.base, uart.interrupt) == (0x0900_0000, 33)
    assert (config.clock.cntfrq, config.boot.entry, config.boot.el, config.boot.world) == (
        10**9,
        0x6000_0000,
        2,
        "normal",
    )


@pytest.mark.parametrize("name", shipped.names(boards=True))
def test_resolved__loads_again_to_the_same_machine(folder: Path, name: str) -> None:
    config = load(name)
    again = machine(resolved(config))
    assert same(config, again) and resolved(again) == resolved(config)


@given(text=st.text(max_size=12))
def test_resolved__any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    extra = {"description": text, "realms": [{"name": "a", "image": "firmware:a", "personalization": text}]}
    try:
        config = load("boards/mini", extra=extra)
    except ConfigError:
        return
    path = tmp_path_factory.mktemp("r") / "r.yaml"
    path.write_text(resolved(config), encoding="utf-8")
    assert same(config, load(str(path)))


def test_schema__is_up_to_date() -> None:
    assert schema.PATH.read_text(encoding="utf-8") == schema.text(), "run python -m machine.config.schema"


def test_schema__describes_every_key() -> None:
    definitions = json.loads(schema.text())["$defs"]
    for name, definition in definitions.items():
        for key, value in definition["properties"].items():
            described = "description" in value or any("$ref" in choice for choice in value.get("anyOf", ()))
            assert described or key == "type", f"{name}.{key}"


def test_docs__are_up_to_date() -> None:
    assert docs.PATH.read_text(encoding="utf-8") == docs.text(), "run python -m machine.config.docs"

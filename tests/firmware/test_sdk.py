# SPDX-License-Identifier: GPL-2.0-or-later
"""The SDK: generated headers, templates, and the contract that docs/payload.md states."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import firmware
from bridge.cli.new import write
from firmware import headers, toolchain
from machine import payload_abi
from tests.firmware import elf

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "docs" / "payload.md"
INCLUDES_ALL = "".join(f'#include "{name}"\n' for name in headers.NAMES)


def test_generated_headers__are_written_and_kept_when_up_to_date(tmp_path: Path) -> None:
    headers.generate(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(headers.NAMES)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    headers.generate(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", headers.NAMES)
def test_generated_header__compiles_alone_and_twice(name: str, tmp_path: Path) -> None:
    """Its assertions on sizes and offsets are checked by the compiler."""
    headers.generate(tmp_path)
    source = tmp_path / "use.c"
    source.write_text(f'#include "{name}"\n#include "{name}"\nint use;\n')
    toolchain.run(toolchain.find().cc([f"-I{tmp_path}", "-c", str(source), "-o", str(tmp_path / "use.o")]))


def test_host_info__c_reads_what_python_packs() -> None:
    """Field order and offsets of the block are those of the declaration, realms right after it."""
    block = payload_abi.HOST_INFO.pack({"magic": payload_abi.MAGIC, "num_realms": 1, "bank_base": range(8)})
    realm = payload_abi.REALM_INFO.pack({"name": b"r", "ipa_bits": 33})
    assert struct.unpack_from("<Q", block) == (payload_abi.MAGIC,)
    assert block[:8] == b"CCABHOST"
    assert struct.unpack_from("<8Q", block, payload_abi.HOST_INFO.offset("bank_base")) == tuple(range(8))
    assert len(block) % 8 == 0 and len(realm) == 0x100


def test_host_call_numbers__are_distinct_and_documented() -> None:
    numbers = [number for number, _ in payload_abi.HOST_CALLS.values()]
    assert numbers == list(range(len(numbers)))
    contract = CONTRACT.read_text()
    for name in ("NOP", "PUTS", "EXIT", "YIELD"):
        number, _ = payload_abi.HOST_CALLS[name]
        assert f"| {number} | `CCAB_HC_{name}` |" in contract
    assert f"| 4 to {numbers[-1]} |" in contract


def test_contract__assembly_example_builds_at_the_ram_base(tmp_path: Path) -> None:
    example = re.search(r"```asm\n(.*?)```", CONTRACT.read_text(), re.DOTALL)
    assert example is not None
    source, image = tmp_path / "hello.S", tmp_path / "hello.elf"
    source.write_text(example[1])
    script = firmware.sdk_dir() / "realm.ld"
    toolchain.run(toolchain.find().cc([f"-Wl,-T,{script}", "-o", str(image), str(source)]))
    assert elf.entry(image) == 0x8000_0000
    assert elf.symbols(image)["call"] % 0x100 == 0


@pytest.mark.parametrize(("template", "script"), [("payload", "realm.ld"), ("host", "host.ld")])
def test_template__linker_script_is_the_sdks(template: str, script: str) -> None:
    assert (firmware.templates_dir() / template / script).read_text() == (firmware.sdk_dir() / script).read_text()


@pytest.mark.parametrize(("template", "base"), [("payload", 0x8000_0000), ("host", 0x8800_0000)])
def test_template__builds_under_another_name(template: str, base: int, tmp_path: Path) -> None:
    project = tmp_path / template
    write(firmware.templates_dir() / template, project, "mine")
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "mine.elf"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert elf.entry(project / "mine.elf") == base


def test_base__another_one_by_a_symbol(tmp_path: Path) -> None:
    source, base = tmp_path / "main.c", tmp_path / "base.S"
    source.write_text('#include "realm.h"\nint main(void) { return 0; }\n')
    base.write_text("    .global REALM_BASE\nREALM_BASE = 0x80200000\n")
    image = tmp_path / "moved.elf"
    assert toolchain.main(["payload", "-o", str(image), str(source), str(base)]) == 0
    assert elf.entry(image) == 0x8020_0000


def test_compiler__adds_no_call_that_the_runtime_lacks(tmp_path: Path) -> None:
    """Structure copies and clears become memcpy and memset calls; the runtime has them."""
    source = tmp_path / "main.c"
    source.write_text(
        INCLUDES_ALL + '#include "realm.h"\n'
        "struct big { uint64_t words[64]; };\n"
        "static struct big a, b;\n"
        "int main(void) { a.words[3] = realm_entry.ram_base; b = a; a = (struct big){0};\n"
        "return (int)(b.words[3] + a.words[5]); }\n"
    )
    assert toolchain.main(["payload", "-o", str(tmp_path / "big.elf"), str(source)]) == 0

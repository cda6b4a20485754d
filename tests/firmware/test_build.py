# SPDX-License-Identifier: GPL-2.0-or-later
"""The build driver: what it makes, when it does nothing, and how it fails."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

import firmware
from firmware import build, toolchain
from firmware.images import IMAGES
from tests.firmware import elf

BASES = {"host": 0x8800_0000, "realm": 0x8000_0000, "image": 0x8000_0000, "secure": 0x0604_0000}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("firmware")
    build.build(out=directory)
    return directory


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_image__stands_where_its_kind_is_entered(out: Path, image: build.Firmware) -> None:
    path = out / f"{image.name}.elf"
    base = BASES[image.kind]
    # An Image is entered at its header, which has no place in an ELF's own.
    assert elf.entry(path) == (elf.symbols(path)["_start"] if image.kind == "image" else base)
    assert min(address for address, _, _ in elf.segments(path)) == base


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_image__has_symbols_and_no_page_both_writable_and_executable(out: Path, image: build.Firmware) -> None:
    path = out / f"{image.name}.elf"
    main = "secure_request" if image.kind == "secure" else "main"
    assert {"_start", main, "vectors", "__stack_top"} <= set(elf.symbols(path))
    assert elf.symbols(path)["vectors"] % 0x800 == 0
    pages: dict[int, int] = {}
    for address, size, flags in elf.segments(path):
        for page in range(address >> 12, (address + size - 1 >> 12) + 1):
            assert page not in pages, f"two segments share page {page << 12:#x}"
            pages[page] = flags
    assert all(flags & (elf.PF_X | elf.PF_W) != elf.PF_X | elf.PF_W for flags in pages.values())


def test_second_build__does_nothing(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    assert build.build(out=out) == []
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.*")} == before


def test_build__same_sources_same_bytes(out: Path, tmp_path: Path) -> None:
    assert build.build(["hello"], tmp_path) == ["hello"]
    assert (tmp_path / "hello.elf").read_bytes() == (out / "hello.elf").read_bytes()


def test_build__removed_image_is_built_again(tmp_path: Path) -> None:
    build.build(["hello"], tmp_path)
    (tmp_path / "hello.elf").unlink()
    assert build.build(["hello"], tmp_path) == ["hello"]


def test_image__carries_no_path_of_the_machine_it_was_built_on(out: Path) -> None:
    for image in IMAGES:
        assert str(build.ROOT.parent).encode() not in (out / f"{image.name}.elf").read_bytes()


def test_main__unknown_image_is_named_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["helo"]) == 2
    message = capsys.readouterr().err
    assert "`helo`" in message and "hello" in message and message.count("\n") == 1


def test_main__no_compiler_is_one_line_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(toolchain.OVERRIDE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert build.main(["hello", "--out", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "gcc-aarch64-linux-gnu" in message and "ziglang" in message and toolchain.OVERRIDE in message


def test_build__compiler_messages_reach_the_user(tmp_path: Path) -> None:
    bad = tmp_path / "bad.c"
    bad.write_text("int main(void) { return undeclared; }\n")
    with pytest.raises(toolchain.ToolchainError, match="undeclared"):
        toolchain.run(toolchain.find().cc(["-c", str(bad), "-o", str(tmp_path / "bad.o")]))


def test_flags__warnings_are_errors(tmp_path: Path) -> None:
    unused = tmp_path / "unused.c"
    unused.write_text("int f(void);\nint f(void) { int unused; return 0; }\n")
    with pytest.raises(toolchain.ToolchainError, match="unused"):
        toolchain.run(toolchain.find().cc(["-c", str(unused), "-o", str(tmp_path / "unused.o")]))


def test_locate__names_the_image_of_the_build() -> None:
    assert firmware.locate("hello") == build.ROOT / "build" / "hello.elf"


def test_toolchain__override_that_is_no_command_is_an_error() -> None:
    with pytest.raises(toolchain.ToolchainError, match="nosuchcompiler"):
        toolchain.find({toolchain.OVERRIDE: "nosuchcompiler --flag"})


@pytest.mark.parametrize(
    ("command", "name"),
    [("aarch64-linux-gnu-gcc", "gcc"), ("clang-18", "clang"), ("zig cc", "zig"), ("python -m ziglang cc", "zig")],
)
def test_toolchain__flags_follow_the_compiler_that_is_named(
    command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / command.split()[0]
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.find({toolchain.OVERRIDE: command}).name == name


def test_toolchain__gnu_is_preferred_then_llvm_then_zig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.find({}).name == "zig"
    for program, name in (("clang", "zig"), ("ld.lld", "clang"), ("aarch64-linux-gnu-gcc", "gcc")):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
        assert shutil.which(program)
        assert toolchain.find({}).name == name


def _is_simd(word: int) -> bool:
    """Data processing, loads and stores of SIMD and floating-point registers (DDI 0487 C4.1)."""
    return word >> 25 & 7 == 7 or (word >> 25 & 5 == 4 and bool(word >> 26 & 1))


@pytest.mark.parametrize("image", [one for one in IMAGES if one.name != "sve"], ids=lambda image: image.name)
def test_image__uses_no_simd_register(out: Path, image: build.Firmware) -> None:
    """CPACR_EL1.FPEN and CPTR_EL2 may trap them until someone turns them on."""
    for name, code in elf.functions(out / f"{image.name}.elf"):
        words = struct.iter_unpack("<I", code[: len(code) & ~3])
        assert not [hex(word) for (word,) in words if _is_simd(word)], name

"""How runs end: each way by name, with its exit code, and a report that says where and why."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.system.cli import LAUNCH, Result, ccabridge

ENTRY = 0x6000_0000
LOOP = (0x14000001, 0x17FFFFFF)  # b .+4 ; b .-4
WFI = (0xD503207F,)
# mov x0, #0x10000000 ; msr vbar_el2, x0 ; ldr x1, [x0]
NO_VECTORS = (0xD2A20000, 0xD51CC000, 0xF9400001)
# mov w0, #8 ; movk w0, #0x8400, lsl #16 ; smc #0
SYSTEM_OFF = (0x52800100, 0x72B08000, 0xD4000003)
# mov x0, #0x1d3 ; msr spsr_el2, x0
TO_AARCH32 = (0xD2803A60, 0xD51C4000, 0xD69F03E0)
# mov x1, #0x09000000 ; ldp q0, q2, [x1]
VECTORS_FROM_DEVICE = (0xD2A12001, 0xAD400820)


def run(tmp_path: Path, words: Sequence[int], *options: str) -> Result:
    image = tmp_path / "image.bin"
    image.write_bytes(struct.pack(f"<{len(words)}I", *words))
    return ccabridge("run", "qemu-virt", "--load", f"{image}@{ENTRY:#x}", "--entry", f"{ENTRY:#x}", *options)


def test_system_off__ends_with_0(tmp_path: Path) -> None:
    result = run(tmp_path, SYSTEM_OFF)
    assert result.code == 0
    assert result.lines[-1] == "ccabridge: guest-exit 0: PSCI_SYSTEM_OFF by the Normal world"


def test_wall_time__ends_with_124(tmp_path: Path) -> None:
    result = run(tmp_path, LOOP, "--timeout", "0.3")
    assert result.code == 124
    assert result.lines[-1].startswith("ccabridge: timeout 124: no end within 0.3 s")
    assert re.search(r"PC: 0x6000000[04]: b ", result.out)


def test_virtual_time_limit__ends_with_124_and_the_same_bytes(tmp_path: Path) -> None:
    first, second = (run(tmp_path, LOOP, "-s", "limits.time=1ms") for _ in range(2))
    assert first.code == 124
    assert first.out == second.out
    assert "1,000,000 instructions in 1.000 ms of virtual time" in first.out


def test_wfi_that_nothing_can_end__is_stuck(tmp_path: Path) -> None:
    result = run(tmp_path, WFI)
    assert result.code == 3
    assert result.lines[-1].startswith("ccabridge: stuck 3: WFI")


def test_exceptions_without_vectors__are_unhandled_and_decoded(tmp_path: Path) -> None:
    result = run(tmp_path, NO_VECTORS)
    assert result.code == 3
    assert result.lines[-1].startswith("ccabridge: unhandled 3: exceptions nest")
    assert "in: normal world, PE 0, EL2" in result.out
    assert "PC: 0x10000200" in result.out
    assert "IABT_CURRENT_EL" in result.out


def test_return_to_aarch32__is_named(tmp_path: Path) -> None:
    result = run(tmp_path, TO_AARCH32)
    assert result.code == 3
    assert "AArch32" in result.lines[-1]


def test_device_access_of_vector_registers__is_named_with_its_instruction(tmp_path: Path) -> None:
    result = run(tmp_path, VECTORS_FROM_DEVICE)
    assert result.code == 3
    assert "device at PA 0x9000000" in result.lines[-1]
    assert "ldp q0, q2, [x1]" in result.out


def test_word_that_the_engine_gives_up_on__is_named(tmp_path: Path) -> None:
    result = run(tmp_path, (0x2E400E04,))
    assert result.code == 3
    assert "cannot translate" in result.lines[-1]
    assert "PC: 0x60000000" in result.out


def test_json__says_how_it_ended(tmp_path: Path) -> None:
    ended = json.loads(run(tmp_path, SYSTEM_OFF, "--json").lines[-1])
    assert (ended["end"], ended["code"]) == ("guest-exit", 0)
    stuck = json.loads(run(tmp_path, WFI, "--json").lines[-1])
    assert (stuck["end"], stuck["code"]) == ("stuck", 3)
    assert stuck["context"]["pc"] == "0x60000004"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run"], "required: FILE|NAME|ELF"),
        (["run", "no-such-machine"], "no such machine file"),
        (["run", "helo-realm"], "did you mean `hello-realm`"),
        (["rum", "hello-realm"], "did you mean `run`"),
        (["run", "hello-realm", "--timeout", "-1"], "expected seconds"),
        (["run", "hello-realm", "-s", "memory.dran.size=1G"], "did you mean `dram`"),
        (["run", "hello-realm", "-s", "memory.dram.size=huge"], "memory.dram.size"),
        (["run", "qemu-virt"], "nothing is loaded"),
        (["run", "qemu-virt", "--load", "/nonexistent@0x60000000"], "No such file"),
        (["run", "qemu-virt", "--load", "/etc/hostname"], "`at` is missing"),
        (["run", "qemu-virt", "--load", "/etc/hostname@zero"], "zero"),
        (["run", "/dev/null"], "/dev/null"),
        (["run", "hello-realm", "-s", "cpu.count=9"], "expected at most 8"),
        (["check", "hello-realm", "-s", "boot.world=secure", "-s", "boot.el=1"], "Secure world"),
    ],
)
def test_bad_command_line__is_one_line_and_2(words: list[str], expected: str) -> None:
    result = ccabridge(*words)
    assert result.code == 2, result
    assert result.out == ""
    assert expected in result.err
    assert "Traceback" not in result.err
    complaint = [line for line in result.err.splitlines() if not line.startswith(("usage:", "  "))]
    assert len(complaint) == 1, result.err


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF" + b"\xff" * 60, b"\x7fELF\x02\x01\x01" + bytes(57)])
def test_malformed_elf__is_one_line_and_2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.elf"
    path.write_bytes(content)
    result = ccabridge("run", str(path))
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert "bad.elf" in result.err


def test_realm_image_beyond_its_ram__is_one_line_and_2(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(17 << 20))
    result = ccabridge("run", "hello-realm", "-s", f"realms.0.image={path}")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert "RAM" in result.err


def test_interrupt__is_a_stop_with_a_name_and_a_report() -> None:
    """Ctrl-C in the middle of a run: where it was, and the last calls, as of any end that is not the guest's."""
    words = ("run", "seeded", "-s", "boot.registers.x1=4", "-s", "stuck.faults=0", "-s", "stuck.silence=0")
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *words, "-s", "limits.time=3600s", "--trace=rmi_rec_create"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        while "RMI_REC_CREATE" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "last calls and events:" in out
    assert out.endswith("ccabridge: interrupted 130: from outside (Ctrl-C)\n")

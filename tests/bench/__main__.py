"""`make bench`: speed as a table, with ratios to a baseline of the same run.

Baseline of guest code: the same machine code on the same engine library, one flat mapping (UC_PROT_ALL), MMU off, no
hooks; the first repetition is dropped and the final registers must be equal. Medians of REPEATS.
"""

from __future__ import annotations

import os
import platform
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.core import NEVER
from bridge.exits import Reason
from machine.calls import CallRecord
from machine.config import load
from machine.end import GUEST_EXIT, End
from machine.machine import Machine
from tests.bench import attest, machines, rmi, snapshots, traces, vmm

HERE = Path(__file__).resolve().parent
REPEATS = 5
CODE = 0x8000_0000
DATA = 0x8010_0000
INT_ITERATIONS = 60_000_000
MEM_PASSES = 3_000
HOST_CODE = 0x8A00_0000
SMC = 0xD4000003

# loop: mov w0, #0x150 ; movk w0, #0xc400, lsl #16 ; mov x1, #0x10000 ; smc #0 ; subs x20, x20, #1 ; b.ne loop
# mov w0, #8 ; movk w0, #0x8400, lsl #16 ; smc #0   (PSCI_SYSTEM_OFF)
VERSION_LOOP = (
    0x52802A00, 0x72B88000, 0xD2A00021, SMC, 0xF1000694, 0x54FFFF61,
    0x52800100, 0x72B08000, SMC,
)  # fmt: skip
# mov x21, #0x9f000000 ; loop: GRANULE_DELEGATE(x21) ; GRANULE_UNDELEGATE(x21) ; subs x20, x20, #1 ; b.ne loop ; off
DELEGATE_LOOP = (
    0xD2B3E015,
    0x52802A20, 0x72B88000, 0xAA1503E1, SMC,
    0x52802A40, 0x72B88000, 0xAA1503E1, SMC,
    0xF1000694, 0x54FFFEE1,
    0x52800100, 0x72B08000, SMC,
)  # fmt: skip

# add x0, x0, #1 ; eor x3, x3, x0 ; subs x2, x2, #1 ; b.ne
INT_LOOP = (0x91000400, 0xCA000063, 0xF1000442, 0x54FFFFA1)
# mov x3, x1 ; mov x4, #8192 ; { ldr x5, [x3] ; add x5, x5, #1 ; str x5, [x3], #8 ; subs x4, x4, #1 ; b.ne }
# subs x2, x2, #1 ; b.ne
MEM_LOOP = (
    0xAA0103E3, 0xD2840004, 0xF9400065, 0x910004A5, 0xF8008465, 0xF1000484, 0x54FFFF81, 0xF1000442, 0x54FFFF01,
)  # fmt: skip


def baseline(words: Sequence[int], count: int) -> tuple[float, list[int]]:
    """(median seconds, X0..X5) of a loop on the bare engine."""
    from unicorn import UC_ARCH_ARM64, UC_MODE_ARM, UC_PROT_ALL, Uc
    from unicorn.arm64_const import UC_ARM64_REG_X0

    uc = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
    uc.mem_map(CODE, 0x100_0000, UC_PROT_ALL)
    uc.mem_write(CODE, struct.pack(f"<{len(words)}I", *words))
    times = []
    for _ in range(REPEATS + 1):
        uc.mem_write(DATA, bytes(65536))
        for number, value in enumerate((0, DATA, count, 0, 0, 0)):
            uc.reg_write(UC_ARM64_REG_X0 + number, value)
        start = time.perf_counter()
        uc.emu_start(CODE, CODE + 4 * len(words))
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), [uc.reg_read(UC_ARM64_REG_X0 + n) for n in range(6)]


class TakeOver:
    """Listener that ends the run at the first call of a name, with the realm alive."""

    def __init__(self, name: str) -> None:
        self.name = name

    def call(self, record: CallRecord) -> None:
        if record.decl is not None and record.decl.name == self.name:
            raise End(GUEST_EXIT, "the bench takes over", code=0)

    def event(self, name: str, insns: int, text: str, depth: int) -> None:
        """Only calls are of interest here."""


class RealmBench:
    """A realm that the host firmware built, halted at its first host call: the bench runs code on its REC."""

    def __init__(self) -> None:
        self.machine = Machine(load("hello-realm"), lambda _text: None)
        self.machine.calls.listener = TakeOver("RSI_HOST_CALL")
        end = self.machine.run()
        if end.reason != "the bench takes over":
            raise SystemExit(f"bench: hello-realm ended with {end.kind}: {end.reason}")
        self.machine.calls.listener = None
        self.core = next(core for core in self.machine.cores if core.name.startswith("rec"))

    def _page(self, ipa: int) -> int:
        """The PA of a protected page, mapped first where the realm has not touched it yet."""
        at = self.core.translate(ipa)
        if at is None:
            self._populate(ipa)
            at = self.core.translate(ipa)
        assert at is not None, f"{ipa:#x} is not mapped"
        return at[0]

    def _populate(self, ipa: int) -> None:
        rmi = self.machine.rmm.rmi
        rd = self.machine.rmm.recs()[0].rd
        pa = self._free = getattr(self, "_free", 0x9E00_0000) + 4096
        for call in ((0xC400_0151, pa), (0xC400_0154, rd, pa, ipa)):
            status = rmi([*call, *[0] * (8 - len(call))])[0]
            assert status == 0, f"call {call[0]:#x} answers {status:#x}"

    def run(self, words: Sequence[int], count: int) -> tuple[float, list[int]]:
        """(median seconds, X0..X5) of the loop in the realm: stage 2, GPC, block hook and all."""
        core, machine = self.core, self.machine
        code = self._page(CODE)
        for page in range(16):
            machine.board.zero(self._page(DATA + 4096 * page), 4096)
        data = struct.pack(f"<{len(words) + 1}I", *words, SMC)
        machine.memory.write(code, data)
        machine.board.memory_written(code, len(data))
        times = []
        for _ in range(REPEATS + 1):
            for page in range(16):
                machine.board.zero(self._page(DATA + 4096 * page), 4096)
            core.set_x(0, (0, DATA, count, 0, 0, 0))
            core.pc = CODE
            machine.board.end_turn_at(NEVER)
            start = time.perf_counter()
            reason = core.run()
            times.append(time.perf_counter() - start)
            assert reason == Reason.SMC, Reason(reason).name
        return statistics.median(times[1:]), core.get_x(0, 6)


def firmware_rate(words: Sequence[int], calls: int) -> float:
    """Calls a second of a loop at NS-EL2 that makes `calls` SMCs and then ends."""
    rates = []
    for _ in range(REPEATS):
        machine = Machine(load("hello-realm"), lambda _text: None)
        machine.memory.write(HOST_CODE, struct.pack(f"<{len(words)}I", *words))
        machine.host.pc = HOST_CODE
        machine.host.set_x(20, (calls,))
        start = time.perf_counter()
        end = machine.run()
        took = time.perf_counter() - start
        assert end.kind == GUEST_EXIT, end.reason
        rates.append(calls / took)
        machine.close()
    return statistics.median(rates)


def host_calls() -> float:
    """REC_ENTER → RSI_HOST_CALL → REC_ENTER round trips a second, host firmware and payload, boot included."""
    rates = []
    for _ in range(REPEATS):
        machine = Machine(load(str(HERE / "hostcall.yaml")), lambda _text: None)
        start = time.perf_counter()
        end = machine.run()
        took = time.perf_counter() - start
        assert end.kind == GUEST_EXIT and end.code == 0, end.reason
        rates.append(machine.calls.counts["RSI_HOST_CALL"] / took)
        machine.close()
    return statistics.median(rates)


def process_start(extra: Sequence[str] = ()) -> float:
    """Median seconds from process start to the first line of the realm in `hello-realm`."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; from bridge.cli import main; sys.exit(main())", "run", "hello-realm"],
            stdout=subprocess.PIPE,
            bufsize=0,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONUNBUFFERED": "1"},
        ) as process:
            assert process.stdout is not None
            while b"[realm 0]" not in process.stdout.readline():
                pass
            times.append(time.perf_counter() - start)
            process.stdout.read()
    return statistics.median(times[1:])


def cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return f"{names[0]}, {len(names)} cores" if names else platform.machine()
    except OSError:
        return platform.machine()


def rows() -> Iterator[tuple[str, str, str, str]]:
    """(what, measured, ratio or rate, at least)."""
    realm = RealmBench()
    for name, words, count, least in (
        ("integer loop in a realm", INT_LOOP, INT_ITERATIONS, 0.50),
        ("64 KB load/store loop in a realm", MEM_LOOP, MEM_PASSES, 5.0),
    ):
        base, base_registers = baseline(words, count)
        ours, registers = realm.run(words, count)
        assert registers == base_registers, f"{name}: {registers} is not {base_registers}"
        yield name, f"{ours:.3f} s against {base:.3f} s", f"{base / ours:.2f}x", f"{least:.2f}x"
    calls = 300_000
    yield "RMI_VERSION round trips", f"{calls} calls", f"{firmware_rate(VERSION_LOOP, calls):,.0f}/s", "250,000/s"
    pairs = 60_000
    rate = firmware_rate(DELEGATE_LOOP, pairs)
    yield "GRANULE_DELEGATE + UNDELEGATE pairs", f"{pairs} pairs", f"{rate:,.0f}/s", "60,000/s"
    yield "REC_ENTER, RSI_HOST_CALL, REC_ENTER", "host and payload", f"{host_calls():,.0f}/s", "50,000/s"
    yield "process start to first realm output", "hello-realm", f"{process_start():.3f} s", "0.200 s"
    yield from vmm.rows(3)
    yield from snapshots.rows(3)
    yield from attest.rows()
    yield from traces.rows(lambda: firmware_rate(DELEGATE_LOOP, pairs), 3)


def main() -> int:
    print(f"{cpu_model()}; Python {platform.python_version()}; medians of {REPEATS}")
    header = ("what", "measured", "result", "at least")
    print(f"{header[0]:<38} {header[1]:<28} {header[2]:>14} {header[3]:>12}")
    for what, measured, result, least in rows():
        print(f"{what:<38} {measured:<28} {result:>14} {least:>12}", flush=True)
    print("\nwhole machines")
    for what, measured, result in machines.rows():
        print(f"{what:<40} {measured:<28} {result:>24}", flush=True)
    print("\nRMI calls in process, through the monitor (DATA_CREATE measured: at least 40,000/s)")
    for command, calls in rmi.commands():
        print(f"{command:<38} {calls:>12,.0f}/s", flush=True)
    print(f"\n{'RIPAS of 1 GiB':<38} {'INIT_RIPAS':>12} {'SET_RIPAS':>12}")
    for what, init, change in rmi.ripas():
        print(f"{what:<38} {init:>10.3f} s {change:>10.3f} s", flush=True)
    print(f"\n{'last pages of a realm of':<38} {'DATA_CREATE_UNKNOWN':>20} {'RTT_READ_ENTRY':>16}")
    for size, create, read in rmi.flat():
        print(f"{size:<38} {create:>18,.0f}/s {read:>14,.0f}/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

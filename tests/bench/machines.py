# SPDX-License-Identifier: GPL-2.0-or-later
"""What a whole machine costs: world switches, interrupts, SGIs between PEs, and run time by the number of PEs.

Wall time of bare programs at NS-EL2, the start of the machine apart.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine.config import load
from machine.end import GUEST_EXIT
from machine.machine import Machine
from tests.system.assemble import assemble

REPEATS = 3
AT = 0x8800_0000
GIC = {"type": "gicv3", "base": 0x0800_0000, "redistributors": 0x0810_0000, "stride": 0x2_0000, "spis": 32}

# X20 counts; `off` ends the machine. The GIC of each PE is set up by `gic`: Group 1 of the Normal world, everything on.
COMMON = """
    b main
    .balign 2048
vectors:
    .rept 5
    .balign 128
    b .
    .endr
    .balign 128
    b irq
    .balign 2048
    .macro call fid
    movz w0, #(\\fid & 0xffff)
    movk w0, #(\\fid >> 16), lsl #16
    smc #0
    .endm
    .macro off
    call 0x84000008
    .endm
gic:                            // X0: number of the PE; X1, X2 are lost
    ldr x1, =0x08110000
    add x1, x1, x0, lsl #17
    mov w2, #-1
    str w2, [x1, #0x100]
    mov x2, #0x80000000
    orr x2, x2, #0x38           // HCR_EL2: RW, AMO, IMO, FMO
    msr hcr_el2, x2
    adr x2, vectors
    msr vbar_el2, x2
    mov x2, #0xf0
    msr S3_0_C4_C6_0, x2
    mov x2, #1
    msr S3_0_C12_C12_7, x2
    isb
    ret
enable:
    ldr x1, =0x08000000
    mov w2, #0x12
    str w2, [x1]
    ret
"""
START = """
    .weak second
start:                          // PEs 1 to N - 1, at `second`, with their number
    mov x21, #1
1:  cmp x21, #{pes}
    b.hs 2f
    mov x1, x21
    adr x2, second
    mov x3, x21
    call 0xC4000003
    add x21, x21, #1
    b 1b
2:  ret
"""
REQUEST = """
irq:
main:
1:  movz w0, #0x6f
    movk w0, #0xc400, lsl #16
    mov x1, #0x8001
    mov x2, #0
    mov x3, #1                  // SERVICE_ECHO
    smc #0
    subs x20, x20, #1
    b.ne 1b
    off
"""
TIMER = """
irq:
    mrs x1, S3_0_C12_C12_0
    mov x2, #{ticks}
    msr cntp_tval_el0, x2
    msr S3_0_C12_C12_1, x1
    sub x20, x20, #1
    eret
main:
    bl enable
    mov x0, #0
    bl gic
    mov x2, #{ticks}
    msr cntp_tval_el0, x2
    mov x2, #1
    msr cntp_ctl_el0, x2
    msr daifclr, #2
1:  cbnz x20, 1b
    off
"""
SGI = """
irq:                            // the other PE answers each SGI by one; X22: its affinity
    mrs x1, S3_0_C12_C12_0
    msr S3_0_C12_C12_1, x1
    msr S3_0_C12_C11_5, x22
    subs x20, x20, #1
    b.eq 3f
    eret
3:  off
second:
    bl gic
    mov x22, #1
    msr daifclr, #2
1:  wfi
    b 1b
main:
    bl enable
    mov x0, #0
    bl gic
    bl start
    mov x22, #2
    msr S3_0_C12_C11_5, x22
    msr daifclr, #2
1:  wfi
    b 1b
"""
WORK = """
irq:
second:
    mov x20, x0
    ldr x20, ={work}
1:  subs x20, x20, #1
    b.ne 1b
    adr x9, done
2:  ldxr x10, [x9]
    add x10, x10, #1
    stxr w11, x10, [x9]
    cbnz w11, 2b
    call 0x84000002
main:
    bl start
    ldr x20, ={work}
1:  subs x20, x20, #1
    b.ne 1b
    adr x9, done
2:  ldr x10, [x9]
    cmp x10, #{others}
    b.ne 2b
    off
    .balign 8
done: .quad 0
"""


def _seconds(folder: Path, text: str, count: int, *, name: str = "hello-realm", pes: int = 1) -> float:
    """Median wall time of a program's run; X20 = count at its entry."""
    program = assemble(folder, COMMON + START.format(pes=pes) + text, AT)
    extra = {"load": {"bench": {"file": str(program)}}, "boot": {"entry": "bench", "registers": {"x20": count}}}
    if name == "hello-realm":
        extra |= {"devices": {"gic": GIC}}
    times = []
    for _ in range(REPEATS):
        machine = Machine(load(name, [f"cpu.count={pes}", "load.host=null"], extra=extra), lambda _text: None)
        start = time.perf_counter()
        end = machine.run()
        times.append(time.perf_counter() - start)
        assert end.kind == GUEST_EXIT, end.reason
        machine.close()
    return statistics.median(times)


def rows() -> Iterator[tuple[str, str, str]]:
    """(what, measured, result)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calls = 60_000
        each = _seconds(folder, REQUEST, calls, name="secure") / calls
        yield "FFA_MSG_SEND_DIRECT_REQ and its answer", f"{calls} requests", f"{each * 1e6:.2f} us"
        count = 100_000
        each = _seconds(folder, TIMER.format(ticks=200), count) / count
        yield "timer PPI taken at EL2, 200 ticks apart", f"{count} interrupts", f"{each * 1e6:.2f} us"
        count = 20_000
        each = _seconds(folder, SGI, count, pes=2) / count / 2
        yield "SGI from one waiting PE to another", f"{2 * count} SGIs", f"{each * 1e6:.2f} us"
        work = 10_000_000
        for pes in (1, 2, 4, 8):
            text = WORK.format(work=work, others=pes - 1)
            took = _seconds(folder, text, 0, pes=pes)
            if pes == 1:
                alone = took
            yield (
                f"{pes} PE{'s' if pes > 1 else ''} that count",
                f"{2 * work * pes / 1e6:.0f} M instructions",
                f"{took:.3f} s, {took / pes / alone:.2f}x a PE",
            )

"""The plugin's run loop: exits, exception entry, time, device accesses (design: one exit struct, one run loop)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.core import Core, sysreg
from bridge.exits import EventKind, Reason
from bridge.pas import PAS
from bridge.plugin import lib
from tests.bridge.boards import CODE, DATA, ELR, ESR, FAR, SPSR, TABLES, UART, VBAR, VECTORS, Bench

EL2H_MASKED = 0x3C9
LDR_X0_X1 = 0xF9400020
STR_X0_X1 = 0xF9000020
LDRSB_W0_X1 = 0x39C00020
LDRSH_X0_X1 = 0x79800020
STR_W0_X1 = 0xB9000020
LDR_W0_X1 = 0xB9400020
WFI = 0xD503207F
HLT_F000 = 0xD45E0000


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def taken(core: Core, level: int, offset: int) -> bool:
    """The exception went to `level`'s vector at `offset` (its first instruction, an SMC, has run)."""
    return core.pstate >> 2 & 3 == level and core.exit.pc == VECTORS + offset + 4


def test_smc__leaves_with_registers_and_pc_after_it(bench: Bench) -> None:
    core = bench.core()
    assert bench.run(core, [0xD28000A0, 0xD28000C1]) is Reason.SMC  # mov x0, #5; mov x1, #6
    assert core.exit.x[0:2] == [5, 6] or list(core.exit.x)[:2] == [5, 6]
    assert core.exit.pc == CODE + 12
    assert core.exit.el == 2
    assert core.pstate == EL2H_MASKED


def test_time__is_retired_instructions(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, [0xD503201F] * 9)  # nop
    assert bench.board.insns == 10


def test_cntvct__counts_within_a_block(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, [0xD53BE040, 0xD503201F, 0xD503201F, 0xD53BE041])  # mrs x0, cntvct_el0; nop; nop; mrs x1
    first, second = core.get_x(0, 2)
    assert second - first == 3


def test_cntfrq_and_rate__scale_the_counter() -> None:
    bench = Bench(cntfrq=10_000_000, rate=1_000_000_000)
    core = bench.core()
    bench.run(core, [0xD503201F] * 999 + [0xD53BE040, 0xD53BE001])  # ...; mrs x0, cntvct; mrs x1, cntfrq
    assert core.get_x(0, 2) == [9, 10_000_000]
    bench.close()


def test_wfi__with_nothing_armed_leaves(bench: Bench) -> None:
    core = bench.core()
    assert bench.run(core, [WFI]) is Reason.WFI
    assert core.exit.pc == CODE + 4


def test_wfi__jumps_to_the_armed_timer(bench: Bench) -> None:
    core = bench.core(irq_exits=1)
    # mov x0, #5000; msr cntv_cval_el0, x0; mov x0, #1; msr cntv_ctl_el0, x0; wfi
    words = [0xD2827100, 0xD51BE340, 0xD2800020, 0xD51BE320, WFI]
    assert bench.run(core, words) is Reason.TIMER
    assert bench.board.ticks == 5000
    assert core.timers()[2:] == [5, 5000]
    assert core.timers_asserted() == 2
    assert core.exit.pc == CODE + 20


def test_timer__asserts_once_until_rearmed(bench: Bench) -> None:
    core = bench.core(irq_exits=1)
    words = [0xD2800C80, 0xD51BE340, 0xD2800020, 0xD51BE320, 0x14000000]  # cval = 100, ctl = 1, b .
    assert bench.run(core, words) is Reason.TIMER
    assert Reason(core.run(1000)) is Reason.SLICE


def test_slice__ends_an_endless_loop_at_a_block(bench: Bench) -> None:
    core = bench.core()
    assert bench.run(core, [0x14000000], slice_insns=1000) is Reason.SLICE
    assert bench.board.insns == 1000


def test_limit__stops_the_machine(bench: Bench) -> None:
    core = bench.core()
    bench.board.set_limit(500)
    assert bench.run(core, [0x14000000]) is Reason.LIMIT
    assert bench.board.insns == 500


def test_mmio_write__leaves_with_address_size_and_value(bench: Bench) -> None:
    core = bench.core()
    core.set_x(0, [0x1234_5678_9ABC_DEF0, UART + 8])
    assert bench.run(core, [STR_W0_X1]) is Reason.MMIO
    exit_ = core.exit
    assert (exit_.pa, exit_.size, exit_.is_write, exit_.value) == (UART + 8, 4, 1, 0x9ABC_DEF0)
    assert core.pc == CODE
    lib.cca_mmio_done(core.handle, 0)
    assert Reason(core.run(100)) is Reason.SMC
    assert core.exit.pc == CODE + 8


@pytest.mark.parametrize(
    ("word", "size", "answer", "result"),
    [
        (LDR_W0_X1, 4, 0xFFFF_FFFF_8000_0001, 0x8000_0001),
        (LDRSB_W0_X1, 1, 0x80, 0xFFFF_FF80),
        (LDRSH_X0_X1, 2, 0x8001, 0xFFFF_FFFF_FFFF_8001),
        (LDR_X0_X1, 8, 0x8000_0000_0000_0001, 0x8000_0000_0000_0001),
    ],
)
def test_mmio_read__extends_as_the_instruction_says(
    bench: Bench, word: int, size: int, answer: int, result: int
) -> None:
    core = bench.core()
    core.set_x(1, [UART])
    assert bench.run(core, [word]) is Reason.MMIO
    assert core.exit.size == size
    lib.cca_mmio_done(core.handle, answer)
    core.run(100)
    assert core.get_x(0, 1) == [result]


@pytest.mark.parametrize(
    ("word", "at", "after"),
    [
        pytest.param(0xB8404420, 0, 4, id="ldr w0, [x1], #4"),
        pytest.param(0xB8408C20, 8, 8, id="ldr w0, [x1, #8]!"),
        pytest.param(0xB81FC420, 0, -4, id="str w0, [x1], #-4"),
        pytest.param(0xB8008C20, 8, 8, id="str w0, [x1, #8]!"),
    ],
)
def test_mmio__with_writeback(bench: Bench, word: int, at: int, after: int) -> None:
    """DDI 0487, C6.2: LDR and STR (immediate), pre-indexed and post-indexed."""
    core = bench.core()
    core.set_x(0, [0x55, UART])
    assert bench.run(core, [word]) is Reason.MMIO
    exit_ = core.exit
    assert (exit_.pa, exit_.size) == (UART + at, 4)
    assert core.get_x(0, 2) == [0x55, UART]
    lib.cca_mmio_done(core.handle, 0x66)
    assert Reason(core.run(100)) is Reason.SMC
    assert core.get_x(0, 2) == [0x55 if exit_.is_write else 0x66, UART + after]


def test_mmio__with_writeback_of_sp(bench: Bench) -> None:
    core = bench.core()
    core.set_x(1, [UART])
    assert bench.run(core, [0x9100003F, 0xB84047E0, 0x910003E1]) is Reason.MMIO  # mov sp, x1; ldr w0, [sp], #4
    lib.cca_mmio_done(core.handle, 0x66)
    assert Reason(core.run(100)) is Reason.SMC  # mov x1, sp
    assert core.get_x(0, 2) == [0x66, UART + 4]


@pytest.mark.parametrize(
    ("word", "size", "result"),
    [
        pytest.param(0xA9400820, 8, [0x8123_4567_8000_0001, UART, 0xFFFF_FFFF_FFFF_FFFE], id="ldp x0, x2, [x1]"),
        pytest.param(0xA9400821, 8, [7, 0x8123_4567_8000_0001, 0xFFFF_FFFF_FFFF_FFFE], id="ldp x1, x2, [x1]"),
        pytest.param(0x29400820, 4, [0x8000_0001, UART, 0xFFFF_FFFE], id="ldp w0, w2, [x1]"),
        pytest.param(0x69400820, 4, [0xFFFF_FFFF_8000_0001, UART, 0xFFFF_FFFF_FFFF_FFFE], id="ldpsw x0, x2, [x1]"),
        pytest.param(0x28C10820, 4, [0x8000_0001, UART + 8, 0xFFFF_FFFE], id="ldp w0, w2, [x1], #8"),
    ],
)
def test_mmio__load_of_a_pair_is_two_reads(bench: Bench, word: int, size: int, result: list[int]) -> None:
    """DDI 0487, C6.2, LDP and LDPSW: both are read before a register is written."""
    core = bench.core()
    core.set_x(0, [7, UART, 9])
    assert bench.run(core, [word]) is Reason.MMIO
    seen = []
    for answer in (0x8123_4567_8000_0001, 0xFFFF_FFFF_FFFF_FFFE):
        seen.append((core.exit.pa, core.exit.size, core.exit.is_write))
        assert core.get_x(0, 3) == [7, UART, 9]
        lib.cca_mmio_done(core.handle, answer)
        reason = Reason(core.run(100))
    assert seen == [(UART, size, 0), (UART + size, size, 0)] and reason is Reason.SMC
    assert core.get_x(0, 3) == result


def test_mmio__store_of_a_pair_is_two_writes(bench: Bench) -> None:
    core = bench.core()
    core.set_x(0, [0x11, UART, 0x22])
    assert bench.run(core, [0x29820820, 0x29400820]) is Reason.MMIO  # stp w0, w2, [x1, #16]!; ldp w0, w2, [x1]
    seen = []
    for _ in range(4):
        seen.append((core.exit.pa - UART, core.exit.size, core.exit.value))
        lib.cca_mmio_done(core.handle, 0x33)
        reason = Reason(core.run(100))
    assert seen == [(16, 4, 0x11), (20, 4, 0x22), (16, 4, 0), (20, 4, 0)] and reason is Reason.SMC
    assert core.get_x(0, 3) == [0x33, UART + 16, 0x33]


@pytest.mark.parametrize("half", [0, 1])
def test_mmio__an_abort_of_either_half_of_a_pair_changes_no_register(bench: Bench, half: int) -> None:
    core = bench.core()
    core.set_x(0, [7, UART, 9])
    assert bench.run(core, [0x28C10820]) is Reason.MMIO
    for _ in range(half):
        lib.cca_mmio_done(core.handle, 1)
        assert Reason(core.run(100)) is Reason.MMIO
    lib.cca_external_abort(core.handle)
    assert core.get_sysreg(ESR[2]) == 0x25 << 26 | 1 << 25 | 0x10
    assert core.get_sysreg(FAR[2]) == UART + 4 * half
    assert core.get_x(0, 3) == [7, UART, 9]
    core.pc, core.pstate = CODE, 0x3C9
    assert Reason(core.run(100)) is Reason.MMIO and core.exit.pa == UART, "from the start again"


def test_mmio__by_simd_is_named(bench: Bench) -> None:
    core = bench.core()
    core.set_x(1, [UART])
    assert bench.run(core, [0x3DC00020]) is Reason.MMIO_FORM  # ldr q0, [x1]
    exit_ = core.exit
    assert (exit_.insn, exit_.pa, exit_.size, exit_.is_write) == (0x3DC00020, UART, 16, 0)


def test_mmio__misaligned_is_an_alignment_fault(bench: Bench) -> None:
    core = bench.core()
    core.set_x(1, [UART + 1])
    assert bench.run(core, [LDR_W0_X1]) is Reason.SMC
    assert taken(core, 2, 0x200)
    assert core.get_sysreg(ESR[2]) == 0x25 << 26 | 1 << 25 | 0x21
    assert core.get_sysreg(FAR[2]) == UART + 1


def test_external_abort__where_no_device_answers(bench: Bench) -> None:
    core = bench.core()
    core.set_x(1, [0x0A00_0000])
    assert bench.run(core, [STR_W0_X1]) is Reason.MMIO
    lib.cca_external_abort(core.handle)
    assert Reason(core.run(100)) is Reason.SMC
    assert taken(core, 2, 0x200)
    assert core.get_sysreg(ESR[2]) == 0x25 << 26 | 1 << 25 | 1 << 6 | 0x10
    assert core.get_sysreg(FAR[2]) == 0x0A00_0000
    assert core.get_sysreg(ELR[2]) == CODE


def test_undefined_instruction__is_taken_to_the_vector(bench: Bench) -> None:
    core = bench.core()
    assert bench.run(core, [0]) is Reason.SMC
    assert taken(core, 2, 0x200)
    assert core.get_sysreg(ESR[2]) == 1 << 25
    assert core.get_sysreg(ELR[2]) == CODE
    assert core.get_sysreg(SPSR[2]) == EL2H_MASKED


def test_svc_and_brk__carry_their_immediate(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, [0xD40000E1])  # svc #7
    assert core.get_sysreg(ESR[2]) == 0x15 << 26 | 1 << 25 | 7
    assert core.get_sysreg(ELR[2]) == CODE + 4
    bench.run(core, [0xD4200120])  # brk #9
    assert core.get_sysreg(ESR[2]) == 0x3C << 26 | 1 << 25 | 9
    assert core.get_sysreg(ELR[2]) == CODE


def test_exception_entry__keeps_flags_and_masks_interrupts(bench: Bench) -> None:
    core = bench.core()
    core.pstate = 0x6000_0009  # Z, C, EL2h, nothing masked
    bench.run(core, [0xD4000001])  # svc #0
    assert core.pstate == 0x6000_03C9
    assert core.get_sysreg(SPSR[2]) == 0x6000_0009


def test_el1__svc_from_el0_uses_the_lower_el_vector(bench: Bench) -> None:
    core = bench.core(el=1)
    core.pstate = 0
    assert bench.run(core, [0xD4000001]) is Reason.SMC
    assert taken(core, 1, 0x400)
    assert core.get_sysreg(SPSR[1]) == 0


def test_el1_entry__sets_pan_when_span_is_clear(bench: Bench) -> None:
    core = bench.core(el=1)
    core.set_sysreg(sysreg(3, 0, 1, 0, 0), 0)
    bench.run(core, [0xD4000001])
    assert core.pstate >> 22 & 1 == 1
    core.pstate = 0x3C5
    core.set_sysreg(sysreg(3, 0, 1, 0, 0), 1 << 23)
    bench.run(core, [0xD4000001])
    assert core.pstate >> 22 & 1 == 0


def test_misaligned_pc__is_a_pc_alignment_fault(bench: Bench) -> None:
    core = bench.core()
    core.set_x(0, [CODE + 0x102])
    bench.run(core, [0xD61F0000])  # br x0
    assert core.get_sysreg(ESR[2]) >> 26 == 0x22
    assert core.get_sysreg(FAR[2]) == CODE + 0x102


def test_sve__that_nobody_let_in_is_undefined(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, [0x04BF5020])  # rdvl x0, #1
    assert taken(core, 2, 0x200)
    assert core.get_sysreg(ESR[2]) == 1 << 25


def test_sve__traps_with_il_where_el2_keeps_it_from_itself(bench: Bench) -> None:
    core = bench.core()
    core.set_sysreg(sysreg(3, 6, 1, 1, 2), 1 << 8)  # CPTR_EL3.EZ
    core.set_sysreg(sysreg(3, 4, 1, 1, 2), 0x33FF)  # CPTR_EL2.TZ
    bench.run(core, [0x04BF5020])
    assert core.get_sysreg(ESR[2]) == 0x19 << 26 | 1 << 25  # DDI 0487, ESR_ELx, EC 0x19


def test_unknown_register__is_undefined_and_named(bench: Bench) -> None:
    core = bench.core()
    core.trace(True)
    bench.run(core, [0xD538CC00])  # mrs x0, icc_iar1_el1
    assert core.get_sysreg(ESR[2]) == 1 << 25
    kinds = {(event[0], event[3]) for event in core.events()}
    assert (EventKind.UNKNOWN_SYSREG, sysreg(3, 0, 12, 12, 0)) in kinds


def test_exception_loop__stops_by_name(bench: Bench) -> None:
    core = bench.core()
    core.set_sysreg(VBAR[2], 0x1000_0000)
    assert bench.run(core, [0]) is Reason.LOOP
    assert core.exit.esr >> 26 in (0x20, 0x21)


def test_spsr_for_aarch32__stops_by_name(bench: Bench) -> None:
    core = bench.core()
    core.set_x(0, [0x1D3])
    assert bench.run(core, [0xD51C4000]) is Reason.AARCH32  # msr spsr_el2, x0
    assert core.exit.esr == 0x1D3


def test_semihosting__leaves_at_the_hlt_when_the_machine_has_it(bench: Bench) -> None:
    core = bench.core(semihosting=1)
    assert bench.run(core, [HLT_F000]) is Reason.SEMIHOST
    assert core.exit.pc == CODE
    without = bench.core()
    assert bench.run(without, [HLT_F000]) is Reason.SMC
    assert without.get_sysreg(ESR[2]) == 1 << 25


def test_rndr__is_seeded_and_reports_success(bench: Bench) -> None:
    read = 0xD53B2400  # mrs x0, rndr
    values = []
    for seed in (7, 7, 8):
        core = bench.core(seed=seed)
        core.pstate = EL2H_MASKED | 0xF000_0000
        assert bench.run(core, [read]) is Reason.SMC
        assert core.pstate >> 28 == 0
        values.append(core.get_x(0, 1)[0])
    assert values[0] == values[1] != values[2]


def test_id_register__reads_what_the_machine_presents(bench: Bench) -> None:
    core = bench.core()
    core.set_id(sysreg(3, 0, 0, 4, 0), 0x1234)
    bench.run(core, [0xD5380400, 0xD53800A1])  # mrs x0, id_aa64pfr0_el1; mrs x1, mpidr_el1
    assert core.get_x(0, 2) == [0x1234, 0x8000_0000]


def test_gpf__data_abort_has_fsc_0x28_and_the_va(bench: Bench) -> None:
    core = bench.core()
    bench.memory.write64(DATA, 0x5A)
    core.set_x(1, [DATA])
    bench.run(core, [LDR_X0_X1])
    assert core.get_x(0, 1) == [0x5A]
    bench.delegate(DATA)
    core.set_x(0, [0, DATA])
    assert bench.run(core, [LDR_X0_X1]) is Reason.SMC
    assert core.get_sysreg(ESR[2]) == 0x9600_0028
    assert core.get_sysreg(FAR[2]) == DATA
    assert core.get_x(0, 1) == [0]
    bench.run(core, [STR_X0_X1])
    assert core.get_sysreg(ESR[2]) == 0x9600_0068
    assert bench.memory.read64(DATA) == 0x5A


def test_gpf__instruction_abort(bench: Bench) -> None:
    core = bench.core()
    bench.delegate(DATA)
    core.set_x(0, [DATA])
    bench.run(core, [0xD61F0000])  # br x0
    assert core.get_sysreg(ESR[2]) == 0x21 << 26 | 1 << 25 | 0x28
    assert core.get_sysreg(FAR[2]) == DATA == core.get_sysreg(ELR[2])


def test_gpf__of_the_second_half_of_a_pair_reports_its_page(bench: Bench) -> None:
    core = bench.core()
    bench.delegate(DATA + 0x1000)
    core.set_x(1, [DATA + 0xFF8])
    bench.run(core, [0xA9400820])  # ldp x0, x2, [x1]
    assert core.get_sysreg(ESR[2]) == 0x9600_0028
    assert core.get_sysreg(FAR[2]) == DATA + 0x1000


def test_gpf__on_code_that_ran_before(bench: Bench) -> None:
    core = bench.core()
    bench.run(core, [0xD503201F], at=DATA)
    bench.delegate(DATA)
    core.pc = DATA
    assert Reason(core.run(100)) is Reason.SMC
    assert core.get_sysreg(ESR[2]) == 0x21 << 26 | 1 << 25 | 0x28


def test_written_code__is_not_run_from_a_stale_translation(bench: Bench) -> None:
    first, second = bench.core(), bench.core()
    for core in (first, second):
        bench.run(core, [0xD2800020], at=DATA)  # mov x0, #1
    bench.code([0xD2800040], at=DATA)  # mov x0, #2
    for core in (first, second):
        core.pc = DATA
        core.run(100)
        assert core.get_x(0, 1) == [2]


def test_ic_ivau__drops_code_in_every_core(bench: Bench) -> None:
    writer, other = bench.core(), bench.core()
    bench.run(other, [0xD2800020], at=DATA)  # mov x0, #1
    writer.set_x(0, [0xD2800040, DATA])
    # str w0, [x1]; dc cvau, x1; dsb ish; ic ivau, x1; dsb ish; isb
    bench.run(writer, [STR_W0_X1, 0xD50B7B21, 0xD5033B9F, 0xD50B7521, 0xD5033B9F, 0xD5033FDF])
    other.pc = DATA
    other.run(100)
    assert other.get_x(0, 1) == [2]


def test_ic_ivau__neither_repeats_nor_skips_nor_miscounts_what_follows(bench: Bench) -> None:
    core = bench.core()
    core.set_x(1, [CODE])
    # mov x0, #0; ic ivau, x1; add x0, x0, #1 three times
    assert bench.run(core, [0xD2800000, 0xD50B7521, *[0x91000400] * 3]) is Reason.SMC
    assert core.get_x(0, 1) == [3]
    assert bench.board.insns == 6
    before = bench.board.insns
    # mov x0, #0; mov x2, #3; 1: ic ivau, x1; add x0, x0, #1; subs x2, x2, #1; b.ne 1b
    bench.run(core, [0xD2800000, 0xD2800062, 0xD50B7521, 0x91000400, 0xF1000442, 0x54FFFFA1])
    assert core.get_x(0, 1) == [3]
    assert bench.board.insns - before == 2 + 3 * 4 + 1


def test_ic_ivau__takes_the_line_and_what_runs_into_it(bench: Bench) -> None:
    """DDI 0487, CTR_EL0.IminLine = 4: 64 bytes, whose new contents every later fetch sees."""
    writer, other = bench.core(), bench.core()
    # 31 times add x0, x0, #1 over two lines; then smc
    bench.run(other, [0xD2800000, *[0x91000400] * 30], at=DATA)
    assert other.get_x(0, 1) == [30]
    for word in (14, 20):  # one in each line: add x0, x0, #2
        writer.set_x(0, [0x91000800, DATA + 4 * word])
        bench.run(writer, [STR_W0_X1, 0xD50B7B21, 0xD5033B9F, 0xD50B7521, 0xD5033B9F, 0xD5033FDF])
    other.pc = DATA
    other.run(100)
    assert other.get_x(0, 1) == [32]


def _identity_el1(bench: Bench, core: Core, leaf: int) -> None:
    """EL1&0 tables: 1 GiB block at DRAM with `leaf` attributes, 4K granule, 39-bit VA, MMU on."""
    bench.memory.write64(TABLES + 8 * 2, 0x8000_0000 | leaf | 0x401)  # AF, block
    core.set_sysreg(sysreg(3, 0, 2, 0, 0), TABLES)
    core.set_sysreg(sysreg(3, 0, 10, 2, 0), 0xFF)
    core.set_sysreg(sysreg(3, 0, 2, 0, 2), 25 | 1 << 23 | 5 << 32)
    core.set_sysreg(sysreg(3, 0, 1, 0, 0), 0x30D0_0801 | 1 << 23)


def test_ldtr__uses_el0_rights(bench: Bench) -> None:
    core = bench.core(el=1)
    _identity_el1(bench, core, 0)  # EL1 read-write, EL0 nothing
    core.set_x(1, [DATA])
    assert bench.run(core, [LDR_X0_X1]) is Reason.SMC
    assert core.exit.pc == CODE + 8
    bench.run(core, [0xF8400820])  # ldtr x0, [x1]
    assert taken(core, 1, 0x200)
    assert core.get_sysreg(ESR[1]) == 0x9600_000D  # permission fault, level 1


def test_tlbi_by_va__reaches_what_the_engine_has_evicted(bench: Bench) -> None:
    """DDI 0487 D8.14: no translation of the VA survives, wherever it was kept."""
    core = bench.core(el=1)
    _identity_el1(bench, core, 0)
    level1, level2, level3 = TABLES, TABLES + 0x1000, TABLES + 0x2000
    bench.memory.write64(level1 + 8 * 2, level2 | 3)
    bench.memory.write64(level2, level3 | 3)
    for page in range(512):
        bench.memory.write64(level3 + 8 * page, 0x8000_0000 + 4096 * page | 0x403)
    bench.memory.write64(0x8008_0000, 1)
    bench.memory.write64(0x8009_0000, 2)
    core.set_x(1, [0x8008_0000, 0x8008_0000 >> 12, 0x8018_0000])
    # ldr x0, [x1]; ldr x4, [x3]: 256 pages on, where the engine's TLB has one place for both
    assert bench.run(core, [LDR_X0_X1, 0xF9400064]) is Reason.SMC
    assert core.get_x(0, 1) == [1]
    bench.memory.write64(level3 + 8 * 0x80, 0x8009_0000 | 0x403)
    bench.run(core, [0xD5088762, 0xD5033B9F, 0xD5033FDF, LDR_X0_X1])  # tlbi vaae1, x2; dsb ish; isb; ldr x0, [x1]
    assert core.get_x(0, 1) == [2]


def test_at_s1e1r__fills_par(bench: Bench) -> None:
    core = bench.core(el=1)
    _identity_el1(bench, core, 0)
    core.set_x(1, [DATA + 0x123])
    bench.run(core, [0xD5087801, 0xD5387400])  # at s1e1r, x1; mrs x0, par_el1
    par = core.get_x(0, 1)[0]
    assert par & 1 == 0
    assert par & 0xF_FFFF_FFFF_F000 == DATA
    core.set_x(1, [0x4000_0000])
    bench.run(core, [0xD5087801, 0xD5387400])
    assert core.get_x(0, 1)[0] & 0x7F == 1 | 0x05 << 1  # F, translation fault level 1


def test_stage2_fault__leaves_with_syndrome_and_ipa(bench: Bench) -> None:
    bench.memory.write64(TABLES + 8 * 2, 0x8000_0000 | 0x7D9)  # IPA 0x8000_0000 -> PA, level-1 block
    vtcr = 1 << 31 | 5 << 16 | 1 << 6 | 31
    core = bench.core(el=1, stage2=1, vttbr=TABLES, vtcr=vtcr)
    ipa = 0x1_0900_0004
    core.set_x(0, [0xAB, ipa])
    bench.code([STR_W0_X1], CODE)
    core.pc = CODE
    assert Reason(core.run(100)) is Reason.S2_FAULT
    exit_ = core.exit
    assert exit_.esr == 0x24 << 26 | 1 << 25 | 1 << 24 | 2 << 22 | 0 << 16 | 1 << 6 | 0x05
    assert (exit_.hpfar, exit_.far, exit_.value) == (ipa >> 12 << 4, ipa, 0xAB)
    assert core.pc == CODE


def test_stage2_context__hvc_and_sgi_leave(bench: Bench) -> None:
    bench.memory.write64(TABLES + 8 * 2, 0x8000_0000 | 0x7D9)
    core = bench.core(el=1, stage2=1, vttbr=TABLES, vtcr=1 << 31 | 5 << 16 | 1 << 6 | 31)
    assert bench.run(core, [0xD4000062]) is Reason.HVC  # hvc #3
    assert core.exit.esr == 0x16 << 26 | 1 << 25 | 3
    core.set_x(0, [0x1234])
    assert bench.run(core, [0xD518CBA0]) is Reason.SYSREG  # msr icc_sgi1r_el1, x0
    assert core.exit.esr == 0x623A_3016 & ~(0x1F << 5)
    assert core.exit.value == 0x1234
    assert core.pc == CODE


def test_secure_and_realm_memory__are_told_apart_by_pas(bench: Bench) -> None:
    realm = bench.core(el=1, pas=PAS.REALM)
    bench.delegate(DATA)
    bench.delegate(CODE)
    bench.delegate(VECTORS)
    realm.set_x(1, [DATA])
    assert bench.run(realm, [LDR_X0_X1]) is Reason.SMC
    assert realm.exit.pc == CODE + 8
    realm.set_x(1, [DATA + 0x1000])  # Non-secure, but reached as Realm
    bench.run(realm, [LDR_X0_X1])
    assert realm.get_sysreg(ESR[1]) == 0x9600_0028


def test_atomics__fault_without_effect(bench: Bench) -> None:
    core = bench.core()
    bench.memory.write64(DATA, 7)
    bench.delegate(DATA)
    for word in (0xF8210020 | 1, 0xC85F7C20, 0xD50B7421):  # ldadd x1, x1, [x1]; ldxr x0, [x1]; dc zva, x1
        core.set_x(0, [0, DATA])
        assert bench.run(core, [word]) is Reason.SMC
        assert core.get_sysreg(ESR[2]) & 0x3F == 0x28
        assert core.get_sysreg(FAR[2]) == DATA
        assert core.get_sysreg(ELR[2]) == CODE
    assert bench.memory.read64(DATA) == 7


def test_same_inputs__same_time_and_registers() -> None:
    def once() -> tuple[int, list[int]]:
        bench = Bench()
        core = bench.core()
        bench.run(core, [0xD53BE040, 0xD53B2401, 0xD4000001])
        result = bench.board.insns, core.get_x(0, 31)
        bench.close()
        return result

    assert once() == once()


def test_tlbi_inner_shareable__reaches_sibling_cores(bench: Bench) -> None:
    reader, writer = bench.core(el=1), bench.core(el=1)
    for core in (reader, writer):
        _identity_el1(bench, core, 0)
    bench.memory.write64(DATA, 1)
    reader.set_x(1, [DATA])
    bench.run(reader, [LDR_X0_X1], at=CODE + 0x1000)
    assert reader.exit.pc == CODE + 0x1008
    bench.memory.write64(TABLES + 8 * 2, 0)  # break
    writer.set_x(0, [0])
    bench.memory.write64(TABLES + 8 * 2, 0x8000_0000 | 0x401)
    bench.run(writer, [0xD503201F])
    # The reader keeps its translation until somebody invalidates it: make the page read-only, then TLBI VMALLE1IS.
    bench.memory.write64(TABLES + 8 * 2, 0x8000_0000 | 0x401 | 1 << 7)
    bench.run(writer, [0xD508831F, 0xD5033B9F])
    reader.set_x(0, [5, DATA])
    bench.code([STR_X0_X1, 0xD4000003], CODE + 0x1000)
    reader.pc = CODE + 0x1000
    assert Reason(reader.run(100)) is Reason.SMC
    assert taken(reader, 1, 0x200)
    assert reader.get_sysreg(ESR[1]) == 0x9600_004D
    assert bench.memory.read64(DATA) == 1


def test_hafdbs__a_read_sets_the_access_flag_and_a_write_the_dirty_state(bench: Bench) -> None:
    core = bench.core(el=1, hafdbs=2)
    _identity_el1(bench, core, 0)
    entry = TABLES + 8 * 2
    bench.memory.write64(entry, 0x8000_0000 | 0x401)
    core.set_sysreg(sysreg(3, 0, 2, 0, 2), 25 | 1 << 23 | 5 << 32 | 1 << 39 | 1 << 40)
    bench.run(core, [0xD503201F])
    # AF clear, read-only, DBM: a clean page
    bench.memory.write64(entry, 0x8000_0000 | 1 | 1 << 7 | 1 << 51)
    lib.cca_flush(core.handle)
    core.set_x(1, [DATA])
    bench.run(core, [LDR_X0_X1])
    assert bench.memory.read64(entry) == 0x8000_0000 | 0x401 | 1 << 7 | 1 << 51
    bench.run(core, [STR_X0_X1])
    assert core.exit.pc == CODE + 8
    assert bench.memory.read64(entry) == 0x8000_0000 | 0x401 | 1 << 51


def test_engine_abort__ends_the_run_and_not_the_process(bench: Bench) -> None:
    core = bench.core()
    assert bench.run(core, [0x2E400E04]) is Reason.ABORTED  # an unallocated half-precision vector encoding
    assert core.exit.pc == CODE
    assert Reason(core.run(100)) is Reason.ABORTED
    assert bench.run(bench.core(), [0xD2800020]) is Reason.SMC


def msr(op0: int, op1: int, crn: int, crm: int, op2: int, rt: int) -> int:
    return 0xD500_0000 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5 | rt


def test_breakpoint__fires_at_its_address(bench: Bench) -> None:
    core = bench.core(el=1)
    at = CODE + 4 * 10
    # X0 = 0, X1 = address, X2 = E, PMC = EL1 and EL0, BAS; X3 = MDE, KDE
    core.set_x(0, [0, at, 1 | 3 << 1 | 0xF << 5, 1 << 15 | 1 << 13])
    arm = [msr(2, 0, 1, 0, 4, 0), msr(2, 0, 0, 0, 4, 1), msr(2, 0, 0, 0, 5, 2), msr(2, 0, 0, 2, 2, 3)]
    assert bench.run(core, [*arm, 0xD50348FF, 0xD5033FDF, *[0xD503201F] * 8]) is Reason.SMC  # msr daifclr, #8; isb
    assert taken(core, 1, 0x200)
    assert core.get_sysreg(ESR[1]) == 0x31 << 26 | 1 << 25 | 0x22
    assert core.get_sysreg(ELR[1]) == at


def test_injected_abort_whose_vector_aborts_too__ends_as_a_loop(bench: Bench) -> None:
    core = bench.core(el=1, stage2=1, vttbr=TABLES, vtcr=1 << 31 | 5 << 16 | 1 << 6 | 31)  # nothing is mapped
    core.pc = CODE
    for _ in range(40):
        reason = Reason(core.run(100))
        if reason is not Reason.S2_FAULT:
            break
        core.inject(1, 0x8600_0010, CODE)
    assert reason is Reason.LOOP


def test_cnthv__counts_virtual_time(bench: Bench) -> None:
    core = bench.core()
    # mov x0, #1000 ; msr cnthv_cval_el2, x0 ; mrs x1, cnthv_cval_el2 ; mrs x2, cnthv_tval_el2
    assert bench.run(core, [0xD2807D00, 0xD51CE340, 0xD53CE341, 0xD53CE302]) is Reason.SMC
    cval, tval = core.get_x(1, 2)
    assert (cval, tval) == (1000, 1000 - 3)


def test_e2h__is_res0_without_vhe(bench: Bench) -> None:
    core = bench.core()
    core.set_id(sysreg(3, 0, 0, 7, 1), 0)  # ID_AA64MMFR1_EL1.VH
    core.set_x(0, [1 << 34 | 1 << 31])
    assert bench.run(core, [0xD51C1100, 0xD53C1101]) is Reason.SMC  # msr hcr_el2, x0 ; mrs x1, hcr_el2
    assert core.get_x(1, 1) == [1 << 31]

"""A64 load and store decoding (Arm ARM C4.1, "Loads and Stores"; ISS encoding for a Data Abort)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import capstone
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.plugin._decode import MASK, PC, REGS, SP, Ldst, decode

NEGATIVE = 0x0000_0012_8765_4320  # an offset whose low word has its sign bit set

# --- ISS fields. Words are assembled by hand; the comment is what they say.

SINGLE = [
    # word, sas, sse, sf, ar, write
    pytest.param(0x39400020, 0, 0, 0, 0, 0, id="ldrb w0, [x1]"),
    pytest.param(0x39800020, 0, 1, 1, 0, 0, id="ldrsb x0, [x1]"),
    pytest.param(0x39C00020, 0, 1, 0, 0, 0, id="ldrsb w0, [x1]"),
    pytest.param(0x79400020, 1, 0, 0, 0, 0, id="ldrh w0, [x1]"),
    pytest.param(0x79800020, 1, 1, 1, 0, 0, id="ldrsh x0, [x1]"),
    pytest.param(0xB9400020, 2, 0, 0, 0, 0, id="ldr w0, [x1]"),
    pytest.param(0xB9800020, 2, 1, 1, 0, 0, id="ldrsw x0, [x1]"),
    pytest.param(0xF9400020, 3, 0, 1, 0, 0, id="ldr x0, [x1]"),
    pytest.param(0x39000020, 0, 0, 0, 0, 1, id="strb w0, [x1]"),
    pytest.param(0x79000020, 1, 0, 0, 0, 1, id="strh w0, [x1]"),
    pytest.param(0xB9000020, 2, 0, 0, 0, 1, id="str w0, [x1]"),
    pytest.param(0xF9000020, 3, 0, 1, 0, 1, id="str x0, [x1]"),
    pytest.param(0xF8400020, 3, 0, 1, 0, 0, id="ldur x0, [x1]"),
    pytest.param(0xF8626820, 3, 0, 1, 0, 0, id="ldr x0, [x1, x2]"),
    pytest.param(0x58000000, 3, 0, 1, 0, 0, id="ldr x0, label"),
    pytest.param(0x18000000, 2, 0, 0, 0, 0, id="ldr w0, label"),
    pytest.param(0x98000000, 2, 1, 1, 0, 0, id="ldrsw x0, label"),
    pytest.param(0xC8DFFC20, 3, 0, 1, 1, 0, id="ldar x0, [x1]"),
    pytest.param(0x08DFFC20, 0, 0, 0, 1, 0, id="ldarb w0, [x1]"),
    pytest.param(0x889FFC20, 2, 0, 0, 1, 1, id="stlr w0, [x1]"),
    pytest.param(0x88DF7C20, 2, 0, 0, 1, 0, id="ldlar w0, [x1]"),
    pytest.param(0xF8BFC020, 3, 0, 1, 1, 0, id="ldapr x0, [x1]"),
    pytest.param(0x19400020, 0, 0, 0, 1, 0, id="ldapurb w0, [x1]"),
    pytest.param(0x99800020, 2, 1, 1, 1, 0, id="ldapursw x0, [x1]"),
    pytest.param(0xD9000020, 3, 0, 1, 1, 1, id="stlur x0, [x1]"),
]


@pytest.mark.parametrize(("word", "sas", "sse", "sf", "ar", "write"), SINGLE)
def test_iss__single_register_forms_are_valid(word: int, sas: int, sse: int, sf: int, ar: int, write: int) -> None:
    out = decode(word)
    assert (out.is_ldst, out.isv, out.srt, out.atomic, out.simd) == (1, 1, 0, 0, 0)
    assert (out.sas, out.sse, out.sf, out.ar, out.write) == (sas, sse, sf, ar, write)
    assert out.bytes == 1 << sas


@pytest.mark.parametrize("rt", [0, 7, 30, 31])
def test_iss__srt_is_rt_and_31_is_the_zero_register(rt: int) -> None:
    assert (decode(0xF9400020 | rt).isv, decode(0xF9400020 | rt).srt) == (1, rt)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(0xF8408420, id="ldr x0, [x1], #8"),
        pytest.param(0xF8408C20, id="ldr x0, [x1, #8]!"),
        pytest.param(0xF8008C20, id="str x0, [x1, #8]!"),
        pytest.param(0xA9400820, id="ldp x0, x2, [x1]"),
        pytest.param(0x69400820, id="ldpsw x0, x2, [x1]"),
        pytest.param(0xA8000820, id="stnp x0, x2, [x1]"),
        pytest.param(0xC85F7C20, id="ldxr x0, [x1]"),
        pytest.param(0xC802FC20, id="stlxr w2, x0, [x1]"),
        pytest.param(0xC87F0820, id="ldxp x0, x2, [x1]"),
        pytest.param(0xF8E20020, id="ldaddal x2, x0, [x1]"),
        pytest.param(0xB8228020, id="swp w2, w0, [x1]"),
        pytest.param(0xC8E2FC20, id="casal x2, x0, [x1]"),
        pytest.param(0x48627C20, id="caspa x2, x3, x0, x1, [x1]"),
        pytest.param(0x3DC00020, id="ldr q0, [x1]"),
        pytest.param(0xFD400020, id="ldr d0, [x1]"),
        pytest.param(0xAD400820, id="ldp q0, q2, [x1]"),
        pytest.param(0x4C407020, id="ld1 {v0.16b}, [x1]"),
        pytest.param(0xF8200C20, id="ldraa x0, [x1]!"),
        pytest.param(0xD50B7421, id="dc zva, x1"),
        pytest.param(0xF9800020, id="prfm pldl1keep, [x1]"),
    ],
)
def test_iss__writeback_pairs_exclusives_atomics_simd_are_not_valid(word: int) -> None:
    out = decode(word)
    assert (out.is_ldst, out.isv) == (1, 0)


@pytest.mark.parametrize(
    ("word", "write"),
    [(0xF8400820, 0), (0xF8000820, 1), (0x38800820, 0), (0xB8800820, 0), (0x78000820, 1)],
)
def test_decode__unprivileged_forms(word: int, write: int) -> None:
    out = decode(word)
    assert (out.unpriv, out.isv, out.write) == (1, 1, write)


@pytest.mark.parametrize("word", [0xF8400020, 0xF8400420, 0xF8400C20, 0xF9400020, 0xF8626820, 0xA9400820])
def test_decode__no_other_form_is_unprivileged(word: int) -> None:
    assert decode(word).unpriv == 0


@pytest.mark.parametrize(
    ("word", "size", "ar"),
    [(0xF8E20020, 8, 1), (0xB8228020, 4, 0), (0xC8E2FC20, 8, 1), (0x48627C20, 16, 1), (0x08A27C20, 1, 0)],
)
def test_decode__atomics_read_and_write(word: int, size: int, ar: int) -> None:
    out = decode(word)
    assert (out.atomic, out.write, out.exclusive, out.bytes, out.ar) == (1, 1, 0, size, ar)


@pytest.mark.parametrize(
    ("word", "write", "size"),
    [(0xC85F7C20, 0, 8), (0x085F7C20, 0, 1), (0xC8027C20, 1, 8), (0x887F0820, 0, 8), (0xC8220820, 1, 16)],
)
def test_decode__exclusives(word: int, write: int, size: int) -> None:
    out = decode(word)
    assert (out.exclusive, out.atomic, out.write, out.bytes, out.addr) == (1, 0, write, size, REGS[1])


def test_decode__dc_zva_clears_64_bytes_at_xt() -> None:
    out = decode(0xD50B7420 | 5)
    assert (out.is_ldst, out.dc_zva, out.write, out.bytes, out.addr) == (1, 1, 1, 64, REGS[5])
    assert decode(0xD50B7420 | 31).addr == 0


@pytest.mark.parametrize("word", [0xD50B7520, 0xD50B7A20, 0xD50B7E20, 0xD5087620, 0xD50B7460])
def test_decode__other_cache_operations_are_not_stores(word: int) -> None:
    out = decode(word)
    assert (out.is_ldst, out.dc_zva) == (0, 0)


def test_decode__base_31_is_sp_and_rt_31_is_not() -> None:
    assert decode(0xF94003E0).addr == SP
    assert decode(0xF900003F).addr == REGS[1]


def test_decode__offset_register_31_is_zero() -> None:
    assert decode(0xF87F6820).addr == REGS[1]


@pytest.mark.parametrize(
    ("option", "shift", "offset"),
    [
        (2, 0, NEGATIVE & 0xFFFF_FFFF),
        (2, 1, (NEGATIVE & 0xFFFF_FFFF) << 3),
        (3, 0, NEGATIVE),
        (3, 1, NEGATIVE << 3),
        (6, 0, (NEGATIVE & 0xFFFF_FFFF) - (1 << 32)),
        (6, 1, ((NEGATIVE & 0xFFFF_FFFF) - (1 << 32)) << 3),
        (7, 1, NEGATIVE << 3),
    ],
)
def test_decode__register_offset_extends(option: int, shift: int, offset: int) -> None:
    regs = list(REGS)
    regs[2] = NEGATIVE
    word = 0xF8600820 | 2 << 16 | option << 13 | shift << 12
    assert decode(word, regs=regs).addr == (REGS[1] + offset) & MASK


@pytest.mark.parametrize("option", [0, 1, 4, 5])
def test_decode__unallocated_extends(option: int) -> None:
    assert decode(0xF8620820 | option << 13).is_ldst == 0


def test_decode__literal_is_relative_to_pc() -> None:
    assert decode(0x58000040).addr == PC + 8
    assert decode(0x58FFFFE0).addr == PC - 4


def test_decode__post_index_uses_the_base_alone() -> None:
    assert decode(0xF8408420).addr == REGS[1]
    assert decode(0xA8C10820).addr == REGS[1]


def test_decode__ldraa_with_a_signed_pointer_knows_the_low_bits_only() -> None:
    regs = list(REGS)
    regs[1] = 0x0000_1234_5678_9000
    out = decode(0xF8201420, regs=regs)
    assert (out.addr_known, out.isv, out.addr) == (1, 1, 0x0000_1234_5678_9008)
    regs[1] |= 0x0055 << 48
    out = decode(0xF8201420, regs=regs)
    assert (out.addr_known, out.addr & 0xFFF) == (0, 8)


@pytest.mark.parametrize(("word", "write"), [(0xA400A000, 0), (0xE400E000, 1), (0x85804000, 0), (0xE5804000, 1)])
def test_decode__sve_is_recognised_without_an_address(word: int, write: int) -> None:
    out = decode(word)
    assert (out.is_ldst, out.isv, out.addr_known, out.simd, out.write) == (1, 0, 0, 1, write)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(0x08200020, id="casp with Rt2 != 31"),
        pytest.param(0xF8C00020 | 1 << 23, id="opc 3 of 64 bits"),
        pytest.param(0x69000820, id="stgp"),
        pytest.param(0x68400820, id="ldpsw without allocate"),
        pytest.param(0xE9400820, id="pair opc 3"),
        pytest.param(0xDC000000, id="literal simd opc 3"),
        pytest.param(0xFD800820 & ~(1 << 24), id="simd scale above 16 bytes"),
        pytest.param(0x0C401020, id="structure opcode 1"),
        pytest.param(0x0C400C20, id="ld4 of 1d"),
        pytest.param(0x0D00C020, id="st1r"),
        pytest.param(0xF8205020, id="ld64b family"),
        pytest.param(0xD503201F, id="nop"),
        pytest.param(0x8B020020, id="add"),
        pytest.param(0x1E622820, id="fadd"),
    ],
)
def test_decode__what_is_not_a_load_or_store(word: int) -> None:
    if word == 0xF8205020:  # LDSMIN shares its pattern with o3 clear
        word |= 1 << 15
    assert decode(word).is_ldst == 0


# --- against capstone

WIDTH = {"b": 1, "h": 2, "s": 4, "d": 8, "q": 16, "w": 4, "x": 8}
ALIASES = re.compile(r"^st(add|clr|eor|set|smax|smin|umax|umin)l?(b|h)?$")
ATOMIC = re.compile(r"^(ld(add|clr|eor|set|smax|smin|umax|umin)|swp|cas)(a|l|al)?(b|h)?$")
EXCLUSIVE = re.compile(r"^(ld|st)a?l?x(r|p)(b|h)?$")
ELEMENT = re.compile(r"\.(\d*)([bhsd])")


def value(register: str) -> int:
    if register == "sp":
        return SP
    if register in ("xzr", "wzr"):
        return 0
    number = {"fp": 29, "lr": 30}.get(register) or int(register[1:])
    return REGS[number] & (0xFFFF_FFFF if register[0] == "w" else MASK)


def address(memory: str) -> int:
    """Effective address of what stands between brackets."""
    parts = [part.strip() for part in memory.split(",")]
    base = value(parts[0])
    if len(parts) == 1:
        return base
    if parts[1].startswith("#"):
        return (base + int(parts[1][1:], 0)) & MASK
    offset, shift = value(parts[1]), 0
    if len(parts) == 3:
        kind, _, amount = parts[2].partition(" ")
        shift = int(amount[1:], 0) if amount else 0
        if kind == "sxtw" and offset & 0x8000_0000:
            offset -= 1 << 32
    return (base + (offset << shift)) & MASK


def structure_bytes(mnemonic: str, registers: str) -> int:
    count = len(registers.split("}")[0].split(","))
    lanes, element = ELEMENT.findall(registers)[0]
    if mnemonic.endswith("r") or "[" in registers.split("}")[1]:
        return count * WIDTH[element]
    return count * int(lanes) * WIDTH[element]


def expected(mnemonic: str, operands: str) -> dict[str, int] | None:
    """What the assembly text says, or None for what is no load or store of A64 that is decoded."""
    if mnemonic == "dc" or not re.match(r"^(ld|st|cas|swp|prf)", mnemonic) or re.match(r"^(ld|st)z?2?gm?$", mnemonic):
        return None
    if re.search(r"\b[zp]\d+\b", operands) or mnemonic in ("stgp", "ld64b", "st64b", "st64bv", "st64bv0"):
        return None
    match = re.search(r"\[((?:x|sp|fp|lr)[^\]]*)\]", operands)
    structure = operands.startswith("{")
    if match is None:
        label = re.search(r"#(-?0x[0-9a-f]+|-?\d+)$", operands)
        if label is None:
            return None
        at = int(label[1], 0) & MASK
    else:
        at = address(match[1])
    writeback = bool(re.search(r"\]!$|\], *\S+$", operands)) if match else False
    if mnemonic in ("prfm", "prfum"):
        return {"addr": at, "prefetch": 1, "isv": 0, "write": 0}
    if structure:
        size = structure_bytes(mnemonic, operands[: operands.rindex("[")])
        return {"addr": at, "bytes": size, "isv": 0, "simd": 1, "write": mnemonic.startswith("st")}

    registers = [r.strip() for r in operands.split("[")[0].split(",") if r.strip() and "#" not in r]
    atomic = bool(ATOMIC.match(mnemonic) or ALIASES.match(mnemonic) or mnemonic.startswith("casp"))
    exclusive = bool(EXCLUSIVE.match(mnemonic))
    if exclusive and mnemonic.startswith("st"):
        registers = registers[1:]
    kind = registers[0][0]
    element = WIDTH[kind]
    if kind in "wx":
        if mnemonic.endswith("sw"):
            element = 4
        elif mnemonic.endswith("b") and not mnemonic.startswith("ldra"):
            element = 1
        elif mnemonic.endswith("h"):
            element = 2
    pair = mnemonic.startswith("casp") or (len(registers) == 2 and not atomic)
    simd = kind not in "wx"
    return {
        "addr": at,
        "bytes": element * (2 if pair else 1),
        "write": mnemonic.startswith("st") or atomic,
        "atomic": atomic,
        "exclusive": exclusive,
        "simd": simd,
        "isv": not (simd or pair or atomic or exclusive or writeback),
        "unpriv": bool(re.match(r"^(ld|st)tr", mnemonic)),
        "sf": kind == "x" and not (simd or pair or atomic or exclusive),
        "sse": kind in "wx" and bool(re.search(r"rs[bhw]$|psw$", mnemonic)),
    }


DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


def disassemble(word: int) -> tuple[str, str] | None:
    for _, _, mnemonic, operands in DISASSEMBLER.disasm_lite(word.to_bytes(4, "little"), PC):
        return mnemonic, operands
    return None


def words() -> Iterator[tuple[int, int]]:
    """(fixed bits, free bits) of the encoding groups, so that random words fall into all of them."""
    yield 0x08000000, 0xC0FFFFFF  # exclusives, ordered, CAS
    yield 0x08007C00, 0xC0FF83FF  # the same with Rt2 = 31
    yield 0x0C000000, 0x40DFFFFF  # multiple structures
    yield 0x0D000000, 0x40FFFFFF  # single structure
    yield 0x18000000, 0xC4FFFFFF  # literal
    yield 0x19000000, 0xC0DFF3FF  # LDAPUR, STLUR
    yield 0x28000000, 0xC5FFFFFF  # pairs
    yield 0x38000000, 0xC5FFFFFF  # register forms
    yield 0x39000000, 0xC4FFFFFF  # unsigned immediate
    yield 0x38200800, 0xC4DFF3FF  # register offset
    yield 0x38200000, 0xC0DFF3FF  # atomics
    yield 0x38200400, 0xC0DFFBFF  # pointer authentication


def in_group(fixed: int, free: int) -> st.SearchStrategy[int]:
    return st.integers(0, 0xFFFF_FFFF).map(lambda n: fixed | n & free)


LOADS_AND_STORES = st.one_of(*(in_group(fixed, free) for fixed, free in words()))


def agree(word: int, text: tuple[str, str], out: Ldst) -> None:
    want = expected(*text)
    if want is None:
        return
    assert out.is_ldst == 1, text
    got = {name: getattr(out, name) for name in want}
    if text[0].startswith("ldra"):  # the base is signed: only its low bits are known
        got["addr"], want["addr"] = got["addr"] & 0xFFF, want["addr"] & 0xFFF
    assert got == want, (f"{word:#010x}", text)


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(LOADS_AND_STORES)
@example(0x4D40E820)
def test_decode__agrees_with_the_disassembler(word: int) -> None:
    text = disassemble(word)
    assume(text is not None)
    assert text is not None
    agree(word, text, decode(word))


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 0xFFFF_FFFF))
def test_decode__takes_any_word(word: int) -> None:
    out = decode(word)
    if out.isv or out.addr_known:
        assert out.is_ldst
    if out.isv:
        assert out.bytes == 1 << out.sas <= 8
        assert not (out.simd or out.exclusive or out.atomic or out.prefetch)
    if out.addr_known:
        assert 1 <= out.bytes <= 64
    text = disassemble(word)
    if text is not None:
        agree(word, text, out)
        if expected(*text) is None and out.addr_known and not out.dc_zva:
            pytest.fail(f"{word:#010x} {text} is no load or store")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Structures and bit fields against rmm-abi.md §2, written out by hand."""

from __future__ import annotations

import pytest

from rmm.abi import bits, structs
from rmm.abi.bits import Bits, Register
from rmm.abi.layout import Field, Struct

# §2.1 to §2.5: (structure, size, {field: (offset, bytes)})
LAYOUTS = [
    (
        structs.REALM_PARAMS,
        4096,
        {
            "flags": (0x0, 8),
            "s2sz": (0x8, 4),
            "sve_vl": (0x10, 4),
            "num_bps": (0x18, 4),
            "num_wps": (0x20, 4),
            "pmu_num_ctrs": (0x28, 4),
            "hash_algo": (0x30, 1),
            "rpv": (0x400, 64),
            "vmid": (0x800, 2),
            "rtt_base": (0x808, 8),
            "rtt_level_start": (0x810, 8),
            "rtt_num_start": (0x818, 4),
        },
    ),
    (
        structs.REC_PARAMS,
        4096,
        {
            "flags": (0x0, 8),
            "mpidr": (0x100, 8),
            "pc": (0x200, 8),
            "gprs": (0x300, 64),
            "num_aux": (0x800, 8),
            "aux": (0x808, 128),
        },
    ),
    (
        structs.REC_ENTER,
        0x800,
        {"flags": (0x0, 8), "gprs": (0x200, 248), "gicv3_hcr": (0x300, 8), "gicv3_lrs": (0x308, 128)},
    ),
    (
        structs.REC_EXIT,
        0x800,
        {
            "exit_reason": (0x0, 8),
            "esr": (0x100, 8),
            "far": (0x108, 8),
            "hpfar": (0x110, 8),
            "gprs": (0x200, 248),
            "gicv3_hcr": (0x300, 8),
            "gicv3_lrs": (0x308, 128),
            "gicv3_misr": (0x388, 8),
            "gicv3_vmcr": (0x390, 8),
            "cntp_ctl": (0x400, 8),
            "cntp_cval": (0x408, 8),
            "cntv_ctl": (0x410, 8),
            "cntv_cval": (0x418, 8),
            "ripas_base": (0x500, 8),
            "ripas_top": (0x508, 8),
            "ripas_value": (0x510, 1),
            "imm": (0x600, 4),
            "pmu_ovf_status": (0x700, 8),
        },
    ),
    (structs.REALM_CONFIG, 4096, {"ipa_width": (0x0, 8), "hash_algo": (0x8, 1), "rpv": (0x200, 64)}),
    (structs.HOST_CALL, 0x100, {"imm": (0x0, 4), "gprs": (0x8, 248)}),
]


@pytest.mark.parametrize(("struct", "size", "fields"), LAYOUTS, ids=lambda v: getattr(v, "name", ""))
def test_offsets(struct: Struct, size: int, fields: dict[str, tuple[int, int]]) -> None:
    assert struct.size == size
    assert {f.name: (f.offset, f.size) for f in struct.fields} == fields


def test_pack_and_unpack() -> None:
    struct = Struct("S", "s", 0x20, Field("a", 0, "u8"), Field("b", 4, "s32", 2), Field("c", 0x10, "bytes", 3))
    data = struct.pack({"a": 7, "b": (-1, 2), "c": b"xyz"})
    assert data == bytes.fromhex("07000000 ffffffff 02000000 00000000 78797a00 00000000 00000000 00000000")
    assert struct.unpack(data) == {"a": 7, "b": (-1, 2), "c": b"xyz"}
    assert struct.unpacker("b", "c")(data) == (-1, 2, b"xyz")
    buffer = bytearray(0x20)
    struct.packer("b")(buffer, -1, 2)
    assert bytes(buffer[4:12]) == data[4:12] and not any(buffer[12:])


def test_pack__unknown_field() -> None:
    with pytest.raises(KeyError):
        structs.HOST_CALL.pack({"nothing": 1})


def test_struct__overlap() -> None:
    with pytest.raises(ValueError, match=r"S\.b: offset 0x4"):
        Struct("S", "s", 0x10, Field("a", 0, "u64"), Field("b", 4, "u32"))
    with pytest.raises(ValueError, match="leaves the structure"):
        Struct("S", "s", 8, Field("a", 4, "u64"))


def test_c_text_pads_and_asserts() -> None:
    text = Struct("S", "s", 0x10, Field("a", 0, "u8"), Field("b", 8, "u16", 2)).c_text()
    assert "uint8_t pad_1[0x7];" in text and "uint16_t b[2];" in text and "uint8_t pad_c[0x4];" in text
    assert "sizeof(struct s) == 0x10" in text and "offsetof(struct s, b) == 0x8" in text


# §2.6
FEATURE_BITS = {
    "S2SZ": (7, 0),
    "LPA2": (8, 8),
    "SVE_EN": (9, 9),
    "SVE_VL": (13, 10),
    "NUM_BPS": (19, 14),
    "NUM_WPS": (25, 20),
    "PMU_EN": (26, 26),
    "PMU_NUM_CTRS": (31, 27),
    "HASH_SHA_256": (32, 32),
    "HASH_SHA_512": (33, 33),
    "GICV3_NUM_LRS": (37, 34),
    "MAX_RECS_ORDER": (41, 38),
}


def test_feature_register_bits() -> None:
    assert {f.name: (f.hi, f.lo) for f in bits.FEATURE_REGISTER_0.fields} == FEATURE_BITS


def test_gicv3_hcr_mask() -> None:
    """§2.7: what a host may write is 0x40FE, what it reads back 0xF80040FE."""
    assert bits.GICV3_HCR.valid == 0xF800_40FE


def test_register_encode_and_text() -> None:
    assert bits.FEATURE_REGISTER_0.decode(0x283FC104130)["S2SZ"] == 48
    assert bits.REALM_FLAGS.text(5) == "LPA2|PMU"
    assert bits.REALM_FLAGS.text(8) == "0x8"
    assert bits.REALM_FLAGS.text(0) == "0"
    with pytest.raises(ValueError, match="does not fit"):
        bits.FEATURE_REGISTER_0.encode(S2SZ=256)
    with pytest.raises(ValueError, match="overlaps"):
        Register("R", "R", Bits("A", 3, 0), Bits("B", 3))

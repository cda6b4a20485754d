# SPDX-License-Identifier: GPL-2.0-or-later
"""Attestation of Linux: what arm-cca-guest hands out through configfs-tsm holds outside, as it was predicted.

Needs a kernel with its modules; each test that lacks something is skipped by name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cbor2
import pytest

from machine.config import load
from machine.config.images import read_images
from machine.vmm.linux.cache import cached_kernel
from machine.vmm.linux.initramfs import build
from machine.vmm.linux.modules import resolve
from tests.system.cli import Result, ccabridge

KERNEL = cached_kernel()
CHALLENGE = bytes(range(0x40, 0x80)).hex()
TIMEOUT = 240

pytestmark = pytest.mark.skipif(
    KERNEL is None or KERNEL.modules is None, reason="no kernel with modules: ccabridge fetch-kernel --modules"
)


def saved(folder: Path, result: Result, name: str) -> str:
    assert result.code == 0, result.out[-3000:] + result.err
    (folder / name).write_text(result.out)
    return str(folder / name)


def verified(log: str, key: str, *words: str) -> list[str]:
    """Names of the checks of a strict verification; all hold."""
    found = ccabridge("token", "verify", log, "--strict", "--platform-key", key, *words)
    assert found.code == 0, found.out + found.err
    return [line.partition(":")[0] for line in found.lines]


def test_linux__token_of_configfs_verifies_with_its_challenge_and_the_predicted_rim(tmp_path: Path) -> None:
    """All by the kvmtool-style command line: run, measure, verify; and by another library."""
    options = ("--realm", "-c", "2", "-m", "256", "--measurement-algo", "sha512", "--realm-pv", "tenant 7")
    options += ("--module", "arm-cca-guest", "--exec", f"measure {CHALLENGE}", "-s", "platform.seed=2")
    log = saved(tmp_path, ccabridge("run", *options, timeout=TIMEOUT), "log")
    key = saved(tmp_path, ccabridge("token", "key", "linux-realm", "-s", "platform.seed=2"), "key.pem")
    rim = ccabridge("measure", *options, "--rim", timeout=TIMEOUT)
    assert rim.code == 0 and len(rim.out.strip()) == 128
    words = ("--challenge", CHALLENGE, "--rim", rim.out.strip(), "--rpv", "tenant 7", "--rem", f"1={'00' * 64}")
    assert verified(log, key, *words)[-6:] == [
        "platform signature",
        "challenge",
        "rim",
        "rem1",
        "personalization value",
        "token",
    ]
    assert ccabridge("token", "verify", log, "--challenge", "00").code == 1

    from cwt import COSE, COSEKey

    from bridge.cli.token import _bytes

    halves = cbor2.loads(_bytes(log)).value
    platform = COSE.new().decode(halves[44234], COSEKey.from_pem(Path(key).read_text(), alg="ES384"))
    own = cbor2.loads(cbor2.loads(cbor2.loads(halves[44241]).value[2])[44237])
    realm = cbor2.loads(COSE.new().decode(halves[44241], COSEKey.new({**own, 3: -35})))
    assert realm[10].hex() == CHALLENGE and realm[44238].hex() == rim.out.strip() and realm[44236] == "sha-512"
    assert cbor2.loads(platform)[10] == hashlib.sha256(realm[44237]).digest()


def test_linux__what_the_boot_loader_measures_is_in_the_token(tmp_path: Path) -> None:
    """REM 1: the device tree by 64 bytes, each hashed behind what was there (rmm-abi.md §4.4)."""
    assert KERNEL is not None and KERNEL.modules is not None
    initrd = tmp_path / "initrd"
    modules = resolve(KERNEL.modules, ["arm-cca-guest"], optional=[], release=KERNEL.release)
    initrd.write_bytes(build(script=f"measure {CHALLENGE}", modules=modules))
    linux = {"kernel": "kernel:fetched", "cmdline": "console=ttyS0 quiet", "initrd": str(initrd), "measure": False}
    realm = {"name": "linux", "image": "firmware:loader", "ram": {"base": 1 << 31, "size": "256M"}, "linux": linux}
    file = tmp_path / "machine.yaml"
    file.write_text(json.dumps({"layers": ["linux-loader"], "realms": [realm], "platform": {"seed": 2}}))

    (staged,) = read_images(load(str(file))).realms
    assert staged.linux is not None
    tree = next(piece for piece in staged.pieces if piece.ipa <= staged.linux.dtb < piece.ipa + piece.size)
    data = tree.data[staged.linux.dtb - tree.ipa :]
    data = data[: int.from_bytes(data[4:8], "big")]  # totalsize
    rem = bytes(32)
    for at in range(0, len(data), 64):
        rem = hashlib.sha256(rem + data[at : at + 64]).digest()

    log = saved(tmp_path, ccabridge("run", str(file), timeout=TIMEOUT), "log")
    key = saved(tmp_path, ccabridge("token", "key", str(file)), "key.pem")
    rim = ccabridge("measure", str(file), "--rim").out.strip()
    words = ("--challenge", CHALLENGE, "--rim", rim, "--rem", f"1={rem.hex()}", "--rem", f"2={'00' * 32}")
    assert verified(log, key, *words)[-5:] == ["challenge", "rim", "rem1", "rem2", "token"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules with all they depend on, in the order that they can be loaded in; modinfo(8)."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

from bridge.errors import UserError
from machine.vmm.linux.cache import cached_kernels
from machine.vmm.linux.modules import ATTESTATION, DEVICES, canonical, read_module, resolve
from tests.machine.linux.files import module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def put(path: str, data: bytes) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)

    put("kernel/a/arm-cca-guest.ko.xz", lzma.compress(module("arm_cca_guest", "tsm_report")))
    put("kernel/b/tsm_report.ko", module("tsm_report", "configfs"))
    put("kernel/c/configfs.ko.gz", gzip.compress(module("configfs"), mtime=0))
    put("kernel/d/net.ko", module("net", "configfs,tsm-report"))
    put("kernel/e/round.ko", module("round", "about"))
    put("kernel/e/about.ko", module("about", "round"))
    put("kernel/e/lost.ko", module("lost", "nowhere"))
    put("kernel/e/foreign.ko", module("foreign", release="6.2-other"))
    put("kernel/e/x86.ko", module("x86", machine=62))
    put("kernel/e/text.ko", b"no module")
    put("modules.order", b"text")
    return tmp_path


def names(folder: Path, *wanted: str, **options: object) -> list[str]:
    return [m.name for m in resolve(folder, wanted, release="6.1-test", **options)]  # type: ignore[arg-type]


def test_resolve__what_others_need_comes_first_and_once(folder: Path) -> None:
    assert names(folder, "arm-cca-guest", "net") == ["configfs", "tsm_report", "arm_cca_guest", "net"]


def test_resolve__dashes_and_underscores_are_the_same(folder: Path) -> None:
    assert names(folder, "arm_cca_guest") == names(folder, "arm-cca-guest")
    assert canonical("arm-cca-guest.ko.xz") == "arm_cca_guest"


def test_resolve__data_is_uncompressed(folder: Path) -> None:
    assert {m.data[:4] for m in resolve(folder, ["arm-cca-guest"], release=None)} == {b"\x7fELF"}


def test_resolve__optional_ones_may_be_built_in(folder: Path) -> None:
    assert names(folder, "configfs", optional=("net", "nosuch")) == ["configfs", "tsm_report", "net"]


def test_resolve__file_by_path(folder: Path) -> None:
    assert names(folder, str(folder / "kernel/b/tsm_report.ko")) == ["configfs", "tsm_report"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("arm-cca-gest", "there is no module `arm-cca-gest` \\(did you mean `arm_cca_guest`\\?\\)"),
        ("round", "module round depends on itself, through round, about"),
        ("lost", "depends on module nowhere, which is not in"),
        ("foreign", "a module for Linux 6.2-other; the kernel is 6.1-test"),
        ("x86", "not an aarch64 kernel module"),
        ("text", "not an aarch64 kernel module"),
        ("/nowhere/x.ko", "/nowhere/x.ko: No such file"),
    ],
)
def test_resolve__what_cannot_be_loaded(folder: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        names(folder, name)


def test_resolve__real_modules_of_the_cached_kernel() -> None:
    kernel = next((kernel for kernel in cached_kernels() if kernel.modules is not None), None)
    if kernel is None or kernel.modules is None:
        pytest.skip("no kernel is cached with modules: `ccabridge fetch-kernel --modules` fetches one")
    found = [m.name for m in resolve(kernel.modules, ATTESTATION, optional=DEVICES, release=kernel.release)]
    assert found.index("tsm_report") < found.index("arm_cca_guest")
    assert {"virtio_mmio", "virtio_blk"} <= set(found)
    assert read_module(next(kernel.modules.rglob("arm-cca-guest.ko*"))).depends == ("tsm_report",)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The block device (VIRTIO 1.2 §5.2) over files, read-only ones and overlays."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UserError
from machine.vmm.virtio.block import Block
from machine.vmm.virtio.disk import Overlay, RawFile

from .driver import Driver, DriverQueue

IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
CONTENT = bytes(sector for sector in range(64) for _ in range(512))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(CONTENT)
    return path


def request(queue: DriverQueue, kind: int, sector: int, data: bytes = b"", room: int = 0) -> tuple[int, bytes]:
    """(status, what was read)"""
    header = struct.pack("<IIQ", kind, 0, sector)
    head = queue.add([header, data] if data else [header], [room, 1] if room else [1])
    queue.kick()
    ((back, written, filled),) = queue.reap()
    assert back == head and written <= room + 1
    return filled[-1], filled[:-1]


def open_disk(image: Path, mode: str) -> tuple[Driver, DriverQueue]:
    disk = Overlay(RawFile(str(image))) if mode == "overlay" else RawFile(str(image), writable=mode == "rw")
    driver = Driver(Block(disk))
    driver.start()
    return driver, driver.queues[0]


def test_config__capacity_in_sectors(image: Path) -> None:
    driver, _ = open_disk(image, "rw")
    config = driver.config(60)
    assert struct.unpack_from("<Q", config)[0] == 64
    assert struct.unpack_from("<I", config, 20)[0] == 512, "blk_size"
    assert struct.unpack_from("<I", config, 12)[0] == 126, "seg_max leaves room for header and status"


@pytest.mark.parametrize(("mode", "read_only"), [("ro", True), ("rw", False), ("overlay", False)])
def test_features__ro(image: Path, mode: str, read_only: bool) -> None:
    driver, _ = open_disk(image, mode)
    assert bool(driver.features() & 1 << 5) is read_only
    assert bool(driver.features() & 1 << 14) is not read_only


@pytest.mark.parametrize("mode", ["ro", "rw", "overlay"])
def test_in__content(image: Path, mode: str) -> None:
    _, queue = open_disk(image, mode)
    assert request(queue, IN, 3, room=1024) == (0, CONTENT[3 * 512 : 5 * 512])
    assert request(queue, IN, 63, room=512) == (0, CONTENT[-512:])


def test_in__scattered(image: Path) -> None:
    _, queue = open_disk(image, "ro")
    data = queue.call([struct.pack("<II", 0, 0), struct.pack("<Q", 1)], [100, 412, 512, 1], indirect=True)
    assert data == CONTENT[512:1536] + b"\0"


@pytest.mark.parametrize(("mode", "on_file"), [("rw", True), ("overlay", False)])
def test_out__read_back_and_file(image: Path, mode: str, on_file: bool) -> None:
    driver, queue = open_disk(image, mode)
    assert request(queue, OUT, 7, b"\xaa" * 1536)[0] == 0
    assert request(queue, FLUSH, 0)[0] == 0
    assert request(queue, IN, 6, room=2560)[1] == CONTENT[6 * 512 : 7 * 512] + b"\xaa" * 1536 + CONTENT[5120:5632]
    driver.mmio.device.close()
    changed = CONTENT[: 7 * 512] + b"\xaa" * 1536 + CONTENT[10 * 512 :]
    assert image.read_bytes() == (changed if on_file else CONTENT)


def test_out__read_only(image: Path) -> None:
    _, queue = open_disk(image, "ro")
    assert request(queue, OUT, 0, bytes(512))[0] == 1
    assert request(queue, WRITE_ZEROES, 0, struct.pack("<QII", 0, 1, 0))[0] == 2
    assert image.read_bytes() == CONTENT


@pytest.mark.parametrize("mode", ["rw", "overlay"])
def test_beyond_the_end__ioerr_and_nothing_changes(image: Path, mode: str) -> None:
    driver, queue = open_disk(image, mode)
    for sector in (63, 64, (1 << 64) - 1, 1 << 55):
        assert request(queue, OUT, sector, bytes(1024))[0] == 1
        assert request(queue, IN, sector, room=1024)[0] == 1
    assert request(queue, OUT, 0, bytes(100))[0] == 1 and request(queue, IN, 0, room=100)[0] == 1
    assert request(queue, IN, 0, room=64 * 512) == (0, CONTENT)
    assert not driver.broken


def test_get_id_and_unknown(image: Path) -> None:
    _, queue = open_disk(image, "ro")
    assert request(queue, GET_ID, 0, room=20) == (0, b"ccabridge".ljust(20, b"\0"))
    assert request(queue, 99, 0)[0] == 2


@pytest.mark.parametrize("mode", ["rw", "overlay"])
def test_write_zeroes__all_ranges_or_none(image: Path, mode: str) -> None:
    _, queue = open_disk(image, mode)
    good, bad = struct.pack("<QII", 2, 3, 0), struct.pack("<QII", 60, 5, 0)
    assert request(queue, WRITE_ZEROES, 0, good + bad)[0] == 1
    assert request(queue, IN, 0, room=64 * 512)[1] == CONTENT
    assert request(queue, WRITE_ZEROES, 0, good)[0] == 0
    assert request(queue, IN, 0, room=64 * 512)[1] == CONTENT[:1024] + bytes(1536) + CONTENT[2560:]
    assert request(queue, DISCARD, 0, struct.pack("<QII", 2, 3, 1))[0] == 2, "unmap is a flag of WRITE_ZEROES"
    assert request(queue, DISCARD, 0, b"")[0] == 1


def test_malformed__needs_reset(image: Path) -> None:
    driver, queue = open_disk(image, "ro")
    queue.add([b"short"], [1])
    queue.kick()
    assert driver.broken
    driver.start()
    driver.queues[0].add([bytes(16)], [])
    driver.queues[0].kick()
    assert driver.broken


def test_overlay__bounded(image: Path) -> None:
    driver = Driver(Block(Overlay(RawFile(str(image)), limit=8192)))
    driver.start()
    (queue,) = driver.queues
    assert request(queue, OUT, 0, bytes(8192))[0] == 0
    assert request(queue, OUT, 16, bytes(512))[0] == 1
    assert request(queue, OUT, 3, b"\x55" * 512)[0] == 0
    assert "limit" in driver.events[0] and not driver.broken


@given(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 24), st.integers(0, 255)), max_size=12))
def test_overlay__is_the_disk_as_written(writes: list[tuple[int, int, int]]) -> None:
    class Base:
        size, writable = len(CONTENT), False

        def read(self, at: int, size: int) -> bytes:
            assert at >= 0 and at + size <= len(CONTENT)
            return CONTENT[at : at + size]

        def write(self, at: int, data: bytes) -> None:
            raise AssertionError("the base is never written")

        def zero(self, at: int, size: int) -> None:
            raise AssertionError("the base is never written")

        def flush(self) -> None: ...

        def close(self) -> None: ...

    overlay, model = Overlay(Base()), bytearray(CONTENT)
    for sector, count, byte in writes:
        at, size = sector * 512, count * 512
        overlay.write(at, bytes([byte]) * size)
        model[at : at + size] = bytes([byte]) * size
        assert overlay.read(at // 2 // 512 * 512, size) == model[at // 2 // 512 * 512 :][:size]
    assert overlay.read(0, len(CONTENT)) == model


def test_image__one_line_for_what_is_wrong(tmp_path: Path, image: Path) -> None:
    odd = tmp_path / "odd.img"
    odd.write_bytes(bytes(700))
    (tmp_path / "empty.img").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    for name, why in (
        ("none.img", "No such file"),
        ("odd.img", "700 bytes are not whole sectors"),
        ("empty.img", "0 bytes"),
        (".", "not a regular file"),
        ("fifo", "not a regular file"),
        ("nul\0", "null"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            RawFile(f"{tmp_path}/{name}")
        assert "\n" not in str(caught.value)
    writer = RawFile(str(image), writable=True)
    with pytest.raises(UserError, match="in use"):
        RawFile(str(image))
    writer.close()
    RawFile(str(image)).close()

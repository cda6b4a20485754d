# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-mmio and split virtqueues, by the sections of VIRTIO 1.2."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machine.vmm.virtio import VirtioDevice
from machine.vmm.virtio.console import Console
from machine.vmm.virtio.queue import Queue
from machine.vmm.virtio.rng import Rng

from .driver import SHARED, Driver, Ram, Time

TRANSPORT = (1 << 32) | (1 << 33) | (1 << 28) | (1 << 29)
PLATFORM = 1 << 33


class Upper(VirtioDevice):
    """Answers each request with its text in upper case."""

    name = "upper"
    id = 42
    features = 1 << 5
    queues = (64,)

    def __init__(self) -> None:
        self.resets = 0
        self.served = 0

    def config(self) -> bytes:
        return b"\x01\x02\x03\x04\x05\x06\x07\x08"

    def serve(self, index: int, queue: Queue) -> None:
        for chain in queue:
            self.served += 1
            data = chain.read(4096).upper()
            chain.write(data)
            queue.give(chain, min(len(data), chain.room))
        queue.want(True)

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def driver() -> Driver:
    return Driver(Upper())


def test_identification__4_2_2(driver: Driver) -> None:
    assert driver.r(0x000) == 0x74726976 and driver.r(0x004) == 2 and driver.r(0x008) == 42
    assert driver.mmio.size == 4096
    assert [driver.r(at) for at in (0x0B0, 0x0B4, 0x0B8, 0x0BC)] == [0xFFFF_FFFF] * 4, "no shared memory region"


def test_features__offered_by_word(driver: Driver) -> None:
    assert driver.features() & TRANSPORT == TRANSPORT and driver.features() & 1 << 5
    assert not driver.features() & 1 << 34, "VIRTIO_F_RING_PACKED is not offered"
    driver.w(0x014, 2)
    assert driver.r(0x010) == 0


@pytest.mark.parametrize("accepted", [0, 1 << 32, 1 << 33, TRANSPORT | 1 << 6, TRANSPORT | 1 << 34])
def test_features_ok__stays_clear_for_what_cannot_work(driver: Driver, accepted: int) -> None:
    assert not driver.negotiate(accepted)


def test_features_ok__access_platform_is_named(driver: Driver) -> None:
    assert not driver.negotiate(1 << 32)
    assert any("VIRTIO_F_ACCESS_PLATFORM" in event for event in driver.events)


def test_features__fixed_after_features_ok(driver: Driver) -> None:
    assert driver.negotiate(TRANSPORT)
    driver.w(0x024, 0)
    driver.w(0x020, 1 << 5)
    assert not driver.mmio.accepted & 1 << 5


def test_status__bits_are_not_cleared_but_by_reset(driver: Driver) -> None:
    driver.start()
    driver.w(0x070, 1)
    assert driver.r(0x070) == 15
    driver.w(0x070, 0)
    assert driver.r(0x070) == 0 and driver.r(0x044) == 0
    assert not driver.level


def test_driver_ok__needs_features_ok(driver: Driver) -> None:
    driver.w(0x070, 7)
    assert driver.r(0x070) == 3 | 64


@pytest.mark.parametrize("indirect", [False, True])
def test_request__there_and_back(driver: Driver, indirect: bool) -> None:
    driver.start()
    queue = driver.queues[0]
    for count in range(40):
        text = f"request {count}".encode()
        assert queue.call([text[:4], text[4:]], [3, 20], indirect=indirect) == text.upper()
    assert not driver.broken and driver.events == []


def test_request__before_driver_ok_waits(driver: Driver) -> None:
    driver.negotiate(TRANSPORT)
    queue = driver.set_up(0, 8)
    queue.add([b"a"], [1])
    queue.kick()
    assert queue.reap() == []
    driver.w(0x070, 15)
    assert [data for _, _, data in queue.reap()] == [b"A"]


def test_interrupt__level_until_acknowledged(driver: Driver) -> None:
    driver.start()
    driver.queues[0].call([b"a"], [1])
    assert driver.level and driver.r(0x060) == 1
    driver.w(0x064, 2)
    assert driver.level
    driver.w(0x064, 1)
    assert not driver.level and driver.r(0x060) == 0


def test_interrupt__used_event_of_a_batch(driver: Driver) -> None:
    """§2.7.7.2: the device interrupts when the used index passes used_event, not at each buffer."""
    driver.start()
    queue = driver.queues[0]
    queue.set_used_event(2)
    for _ in range(2):
        queue.add([b"a"], [1])
        queue.kick()
    assert queue.used_index() == 2 and not driver.level
    queue.add([b"a"], [1])
    queue.kick()
    assert driver.level
    driver.ack()
    queue.add([b"a"], [1])
    queue.kick()
    assert not driver.level, "the driver did not move used_event"


def test_interrupt__no_event_index_goes_by_flags(driver: Driver) -> None:
    driver.negotiate((1 << 32) | (1 << 33))
    queue = driver.set_up(0, 8)
    driver.w(0x070, 15)
    driver.ram.write(queue.avail, b"\x01\x00")
    queue.add([b"a"], [1])
    queue.kick()
    assert queue.used_index() == 1 and not driver.level, "VIRTQ_AVAIL_F_NO_INTERRUPT"
    driver.ram.write(queue.avail, b"\x00\x00")
    queue.add([b"a"], [1])
    queue.kick()
    assert driver.level


def test_indices__wrap_at_65536(driver: Driver) -> None:
    driver.start(size=16)
    queue = driver.queues[0]
    queue.add([b"x"], [1])
    queue.kick()
    queue.reap()
    for _ in range(65536 // 16):
        for _ in range(16):
            queue.offer(0)
            queue.heads[0] = [0], []
        queue.kick()
        assert queue.used_index() == queue.added
        queue.seen = queue.used_index()
        queue.set_used_event(queue.seen)
    assert not driver.broken and queue.added == 1


def test_used_ring__a_batch_across_its_end(driver: Driver) -> None:
    driver.start(size=8)
    queue = driver.queues[0]
    for _ in range(6):
        queue.call([b"x"], [1])
    heads = [queue.add([text], [2]) for text in (b"ab", b"cd", b"ef", b"gh")]
    queue.kick()
    assert queue.reap() == [(head, 2, text) for head, text in zip(heads, (b"AB", b"CD", b"EF", b"GH"), strict=True)]


def test_accesses__of_a_request_are_few(driver: Driver) -> None:
    driver.start()
    queue = driver.queues[0]
    queue.call([b"a"], [1])
    queue.add([b"b"], [1])
    before = driver.ram.accesses
    queue.kick()
    # the available ring, two descriptors, two buffers, the used element, its index, avail_event
    assert driver.ram.accesses - before == 8


def test_queue__ready_only_with_a_legal_size_and_place(driver: Driver) -> None:
    good = SHARED, SHARED + 0x1000, SHARED + 0x2000
    for size, desc, avail, used in (
        (0, *good),
        (3, *good),
        (128, *good),
        (0xFFFF_FFFF, *good),
        (8, SHARED + 8, *good[1:]),
        (8, good[0], SHARED + 1, good[2]),
        (8, *good[:2], SHARED + 2),
        (8, (1 << 64) - 16, *good[1:]),
        (8, good[0], (1 << 64) - 2, good[2]),
    ):
        driver.negotiate(TRANSPORT)
        driver.place(0, size, desc, avail, used)
        assert driver.broken and not driver.r(0x044), (size, desc, avail, used)
    driver.negotiate(TRANSPORT)
    driver.place(0, 8, *good)
    assert not driver.broken and driver.r(0x044) == 1
    driver.w(0x038, 4)
    driver.w(0x044, 0)
    driver.w(0x044, 1)
    assert driver.r(0x044) == 1, "a ready queue does not change its size"


def test_queue__not_there(driver: Driver) -> None:
    driver.negotiate(TRANSPORT)
    driver.place(1, 8, SHARED, SHARED + 0x1000, SHARED + 0x2000)
    assert driver.r(0x034) == 0 and driver.r(0x044) == 0
    for index in (1, 0xFFFF_FFFF):
        driver.w(0x050, index)
    assert not driver.broken


def test_queue_reset__starts_over(driver: Driver) -> None:
    """§4.2.2.1 QueueReset, where VIRTIO_F_RING_RESET is accepted."""
    driver.negotiate(TRANSPORT | 1 << 40)
    queue = driver.set_up(0, 8)
    driver.w(0x070, 15)
    queue.call([b"a"], [1])
    driver.w(0x030, 0)
    driver.w(0x0C0, 1)
    assert driver.r(0x0C0) == 0 and driver.r(0x044) == 0
    again = driver.set_up(0, 4)
    assert again.call([b"b"], [1]) == b"B"


@pytest.mark.parametrize("structure", ["desc", "avail", "used", "buffer", "room", "table"])
def test_protected_memory__needs_reset_and_a_name(driver: Driver, structure: str) -> None:
    protected = 0x8000_0000
    driver.negotiate(TRANSPORT)
    place = {"desc": SHARED, "avail": SHARED + 0x1000, "used": SHARED + 0x2000}
    if structure in place:
        place[structure] = protected
    driver.place(0, 8, **place)
    ram = driver.ram
    ram.write(SHARED + 0x1000, struct.pack("<HHH", 0, 1, 0))
    buffer = protected if structure == "buffer" else SHARED + 0x3000
    room = protected if structure == "room" else SHARED + 0x4000
    if structure == "table":
        ram.write(SHARED, struct.pack("<QIHH", protected, 32, 4, 0))
    else:
        ram.write(SHARED, struct.pack("<QIHHQIHH", buffer, 4, 1, 1, room, 4, 2, 0))
    driver.w(0x070, 15)
    assert driver.broken and driver.level and driver.ack() == 2, "a configuration change notification (§2.1.2)"
    assert "IPA 0x800000" in driver.events[-1]
    assert "protected" in driver.events[-1] and "upper: queue 0" in driver.events[-1]
    driver.w(0x050, 0)
    assert len(driver.events) == 1, "a broken device stays silent"
    driver.start()
    assert driver.queues[0].call([b"ok"], [2]) == b"OK"


@pytest.mark.parametrize(
    ("entries", "rule"),
    [
        ([(SHARED, 1, 1, 1), (SHARED, 1, 1, 0)], "loop"),
        ([(SHARED, 1, 1, 0)], "loop"),
        ([(SHARED, 1, 1, 8)], "descriptor 8 of 8"),
        ([(SHARED, 1, 3, 1), (SHARED, 1, 0, 0)], "after a device-writable"),
        ([(SHARED, 0xFFFF_FFFF, 0, 0)], "4294967295 bytes"),
        ([((1 << 64) - 1, 2, 0, 0)], "a buffer of 2 bytes"),
        ([(SHARED, 0, 4, 0)], "indirect table of 0"),
        ([(SHARED, 17, 4, 0)], "indirect table of 17"),
        ([(SHARED, 0xFFFF_FFF0, 4, 0)], "indirect table of"),
        ([(SHARED, 16, 5, 1)], "may not be indirect"),
        ([(SHARED, 16, 4, 0)], "may not be indirect"),  # a table that names itself
    ],
)
def test_hostile_chain__named(driver: Driver, entries: list[tuple[int, int, int, int]], rule: str) -> None:
    driver.start(size=8)
    queue = driver.queues[0]
    assert queue.desc == SHARED
    for at, entry in enumerate(entries):
        driver.ram.write(queue.desc + 16 * at, struct.pack("<QIHH", *entry))
    queue.offer(0)
    queue.kick()
    assert driver.broken and rule in driver.events[-1]


def test_hostile_head_and_index(driver: Driver) -> None:
    for head, added, rule in ((8, 0, "descriptor 8 of 8"), (0, 100, "available index")):
        driver.start(size=8)
        queue = driver.queues[0]
        queue.added = added
        queue.offer(head)
        queue.kick()
        assert driver.broken and rule in driver.events[-1]


def test_indirect__not_negotiated(driver: Driver) -> None:
    driver.negotiate((1 << 32) | (1 << 33))
    queue = driver.set_up(0, 8)
    driver.w(0x070, 15)
    queue.add([b"a"], [1], indirect=True)
    queue.kick()
    assert driver.broken and "may not be indirect" in driver.events[-1]


def test_config__widths_and_end(driver: Driver) -> None:
    assert driver.r(0x100, 8) == 0x0807060504030201 and driver.r(0x102, 2) == 0x0403 and driver.r(0x107, 4) == 8
    assert driver.r(0xFF8, 8) == 0


def test_config_generation__counts_changes() -> None:
    console = Console(lambda data: None, 80, 25)
    driver = Driver(console)
    driver.start()
    before = driver.r(0x0FC)
    console.resize(132, 43)
    assert driver.r(0x0FC) == before + 1 and driver.ack() == 2
    assert struct.unpack("<HH", driver.config(4)) == (132, 43)
    console.resize(132, 43)
    assert driver.r(0x0FC) == before + 1 and not driver.level


def test_console__prints_and_reads() -> None:
    out: list[bytes] = []
    console = Console(out.append)
    driver = Driver(console)
    driver.start()
    receive, transmit = driver.queues
    transmit.call([b"hello ", b"world\n"])
    assert out == [b"hello world\n"]
    assert console.feed(b"early") == 5
    receive.add([], [4])
    receive.kick()
    assert [(written, data) for _, written, data in receive.reap()] == [(4, b"earl")]
    receive.add([], [8])
    receive.kick()
    receive.add([], [8])
    assert [data[:written] for _, written, data in receive.reap()] == [b"y"]
    driver.ack()
    console.feed(b"now")
    assert driver.level and [data[:written] for _, written, data in receive.reap()] == [b"now"]


def test_console__input_is_bounded_and_needs_no_kicks() -> None:
    console = Console(lambda data: None)
    driver = Driver(console)
    driver.start()
    assert console.feed(b"x" * 100_000) == 65536 and console.feed(b"y") == 0
    receive = driver.queues[0]
    assert receive.avail_event() == 0, "input waits: the driver shall notify"
    receive.add([], [70_000])
    receive.kick()
    assert receive.avail_event() == 0, "nothing waits: one before the next index, so that no index passes it"


def test_console__polled_output_makes_no_interrupt() -> None:
    """Linux's hvc spins until its buffer is back and moves used_event: the interrupt is for drivers that wait."""
    clock = Time()
    driver = Driver(Console(lambda data: None), clock=clock)
    driver.start()
    transmit = driver.queues[1]
    for _ in range(10):
        transmit.call([b"polled"])
    assert clock.turn(49_000) == 0 and clock.turn(1_000) == 1, "one look for all of them"
    assert driver.edges == 0
    transmit.add([b"not polled"])
    transmit.kick()
    assert not driver.level
    clock.turn(50_000)
    assert driver.level and driver.ack() == 1
    transmit.reap()
    transmit.add([b"x"])
    transmit.kick()
    driver.w(0x070, 0)
    clock.turn(50_000)
    assert not driver.level, "the driver is gone"


def test_console__input_does_not_wait() -> None:
    clock = Time()
    console = Console(lambda data: None)
    driver = Driver(console, clock=clock)
    driver.start()
    driver.queues[0].add([], [8])
    console.feed(b"now")
    assert driver.level


def test_console__emergency_write() -> None:
    out: list[bytes] = []
    driver = Driver(Console(out.append))
    driver.w(0x108, 0x41)
    assert out == [b"A"]


def test_rng__seeded() -> None:
    first, second = [], []
    for seed, into in ((7, first), (7, second)):
        driver = Driver(Rng(seed))
        driver.start()
        into += [driver.queues[0].call([], [40]), driver.queues[0].call([], [5000])]
    assert first == second and len(first[0]) == 40 and len(first[1]) == 4096 and first[0] != first[1][:40]
    other = Driver(Rng(8))
    other.start()
    assert other.queues[0].call([], [40]) != first[0]


_WORDS = st.sampled_from([0, 1, 2, 3, 4, 8, 11, 15, 64, 128, 0x8000_0000, 0xFFFF_FFFF]) | st.integers(0, 0xFFFF_FFFF)
_OFFSETS = st.sampled_from([*range(0, 0x120, 4)]) | st.integers(0, 4088)
_ADDRESS = st.integers(0, 0x4000).map(lambda at: SHARED + at) | st.integers(0, (1 << 64) - 1)
_ENTRY = st.tuples(_ADDRESS, st.integers(0, 600) | st.integers(0, 0xFFFF_FFFF), st.integers(0, 7), st.integers(0, 9))


@settings(max_examples=150)
@given(
    entries=st.lists(_ENTRY, min_size=1, max_size=8),
    heads=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    noise=st.binary(max_size=64),
    accesses=st.lists(st.tuples(st.booleans(), _OFFSETS, st.sampled_from([1, 2, 4, 8]), _WORDS), max_size=30),
    steps=st.integers(1, 3),
)
def test_hostile_driver__no_exception_bounded_work(
    entries: list[tuple[int, int, int, int]],
    heads: list[int],
    noise: bytes,
    accesses: list[tuple[bool, int, int, int]],
    steps: int,
) -> None:
    device = Upper()
    driver = Driver(device, Ram(1 << 15))
    driver.start(size=8)
    queue = driver.queues[0]
    driver.ram.write(SHARED + 0x3000, noise)
    for _ in range(steps):
        for at, entry in enumerate(entries):
            driver.ram.write(queue.desc + 16 * at, struct.pack("<QIHH", *entry))
        for head in heads:
            queue.offer(head)
        device.served = 0
        before = driver.ram.accesses
        queue.kick()
        assert device.served <= 8, "no more than the queue holds"
        assert driver.ram.accesses - before < 8 * 2100
        for write, offset, size, value in accesses:
            if write:
                driver.w(offset, value & (1 << 8 * size) - 1, size)
            else:
                assert 0 <= driver.r(offset, size) < 1 << 8 * size
    driver.start(size=8)
    driver.queues[0].reap()
    assert driver.queues[0].call([b"alive"], [5]) == b"ALIVE", "a reset cures everything"

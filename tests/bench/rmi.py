"""RMI calls in process: rates of each command, and that no cost grows with the size of a realm.

A Python host makes the calls at the monitor's door, with the GPT and real tables behind it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence

from machine.config import load
from machine.machine import Machine

GRANULE = 4096
POOL = 0x9400_0000
IPA = 0x1_0000_0000
MIB, GIB = 1 << 20, 1 << 30
FID = {
    "VERSION": 0xC400_0150,
    "DELEGATE": 0xC400_0151,
    "UNDELEGATE": 0xC400_0152,
    "DATA_CREATE": 0xC400_0153,
    "DATA_CREATE_UNKNOWN": 0xC400_0154,
    "DATA_DESTROY": 0xC400_0155,
    "REALM_CREATE": 0xC400_0158,
    "REC_CREATE": 0xC400_015A,
    "RTT_CREATE": 0xC400_015D,
    "RTT_DESTROY": 0xC400_015E,
    "MAP_UNPROTECTED": 0xC400_015F,
    "READ_ENTRY": 0xC400_0161,
    "UNMAP_UNPROTECTED": 0xC400_0162,
    "FEATURES": 0xC400_0165,
    "RTT_FOLD": 0xC400_0166,
    "REC_AUX_COUNT": 0xC400_0167,
    "INIT_RIPAS": 0xC400_0168,
    "SET_RIPAS": 0xC400_0169,
}


class Host:
    """Makes RMI calls; `ok` insists on success and returns X1.."""

    def __init__(self, dram: str = "512M") -> None:
        self.machine = Machine(load("hello-realm", [f"memory.dram.size={dram}"]), lambda _text: None)
        self._call = self.machine.monitor.normal
        self._next = POOL

    def call(self, name: str, *arguments: int) -> Sequence[int]:
        return self._call([FID[name], *arguments, *[0] * (7 - len(arguments))])

    def ok(self, name: str, *arguments: int) -> Sequence[int]:
        result = self.call(name, *arguments)
        assert result[0] == 0, f"{name}{tuple(map(hex, arguments))} = {result[0]:#x}"
        return result[1:]

    def page(self) -> int:
        self._next += GRANULE
        return self._next - GRANULE

    def delegated(self) -> int:
        pa = self.page()
        self.ok("DELEGATE", pa)
        return pa

    def realm(self, ipa_bits: int = 40) -> int:
        """An empty realm with a start table at level 1 (two of them for 40 bits)."""
        tables = 1 << max(0, ipa_bits - 39)
        self._next = -(-self._next // (GRANULE * tables)) * GRANULE * tables
        base = min([self.delegated() for _ in range(tables)])
        rd, params = self.delegated(), self.page()
        block = bytearray(GRANULE)
        struct.pack_into("<QI4xI4xI4xI", block, 0, 0, ipa_bits, 0, 1, 1)
        struct.pack_into("<H6xQqI", block, 0x800, 1, base, 1, tables)
        self.machine.memory.write(params, bytes(block))
        self.ok("REALM_CREATE", rd, params)
        return rd

    def tables(self, rd: int, ipa: int, level: int = 3) -> None:
        for at in range(2, level + 1):
            if self.call("READ_ENTRY", rd, ipa & -(1 << 12 + 9 * (4 - at)), at - 1)[2] != 2:
                self.ok("RTT_CREATE", rd, self.delegated(), ipa & -(1 << 12 + 9 * (4 - at)), at)

    def close(self) -> None:
        self.machine.close()


def rate(count: int, run: Callable[[int], object]) -> float:
    """Calls a second of run(0) .. run(count - 1)."""
    start = time.perf_counter()
    for number in range(count):
        run(number)
    return count / (time.perf_counter() - start)


def commands() -> Iterator[tuple[str, float]]:
    """(command, calls a second)."""
    host = Host()
    rd = host.realm()
    host.tables(rd, IPA)
    source = host.page()
    host.machine.memory.write(source, bytes(range(256)) * 16)
    n = 512
    yield "RMI_VERSION", rate(20_000, lambda _n: host.ok("VERSION", 0x10000))
    yield "RMI_FEATURES", rate(20_000, lambda _n: host.ok("FEATURES", 0))
    pages = [host.page() for _ in range(4096)]
    yield "RMI_GRANULE_DELEGATE", rate(4096, lambda i: host.ok("DELEGATE", pages[i]))
    yield "RMI_GRANULE_UNDELEGATE", rate(4096 - 2 * n, lambda i: host.ok("UNDELEGATE", pages[i + 2 * n]))
    yield (
        "RMI_DATA_CREATE (measured)",
        rate(n, lambda i: host.ok("DATA_CREATE", rd, pages[i], IPA + i * GRANULE, source, 1)),
    )
    yield "RMI_DATA_DESTROY", rate(n, lambda i: host.ok("DATA_DESTROY", rd, IPA + i * GRANULE))
    yield (
        "RMI_DATA_CREATE_UNKNOWN",
        rate(n, lambda i: host.ok("DATA_CREATE_UNKNOWN", rd, pages[i], IPA + i * GRANULE)),
    )
    yield "RMI_RTT_READ_ENTRY", rate(20_000, lambda i: host.ok("READ_ENTRY", rd, IPA + i % n * GRANULE, 3))
    half = 1 << 39
    host.tables(rd, half)
    yield (
        "RMI_RTT_MAP_UNPROTECTED",
        rate(n, lambda i: host.ok("MAP_UNPROTECTED", rd, half + i * GRANULE, 3, source | 0xD8)),
    )
    yield "RMI_RTT_UNMAP_UNPROTECTED", rate(n, lambda i: host.ok("UNMAP_UNPROTECTED", rd, half + i * GRANULE, 3))
    far = IPA + GIB
    host.tables(rd, far, 2)
    yield "RMI_RTT_CREATE", rate(n, lambda i: host.ok("RTT_CREATE", rd, pages[n + i], far + i * 2 * MIB, 3))
    yield "RMI_RTT_FOLD", rate(n // 2, lambda i: host.ok("RTT_FOLD", rd, far + i * 2 * MIB, 3))
    yield "RMI_RTT_DESTROY", rate(n // 2, lambda i: host.ok("RTT_DESTROY", rd, far + (n // 2 + i) * 2 * MIB, 3))
    host.close()


def _over_a_gib(host: Host, call: Callable[[int], int]) -> float:
    """Seconds that a call takes, repeated from where it got to, from IPA to IPA + 1 GiB."""
    start = time.perf_counter()
    at = IPA
    while at < IPA + GIB:
        at = call(at)
    return time.perf_counter() - start


def ripas() -> Iterator[tuple[str, float, float]]:
    """(what, seconds of INIT_RIPAS, seconds of SET_RIPAS to EMPTY) over 1 GiB."""
    for what, level in (("blocks of 2 MiB", 2), ("pages", 3)):
        host = Host("1G")
        rd = host.realm()
        for at in range(IPA, IPA + GIB, GIB if level == 2 else 2 * MIB):
            host.tables(rd, at, level)
        init = _over_a_gib(host, lambda at: host.ok("INIT_RIPAS", rd, at, IPA + GIB)[0])  # noqa: B023
        rec_pa, params = host.delegated(), host.page()
        block = bytearray(GRANULE)
        aux = [host.delegated() for _ in range(host.ok("REC_AUX_COUNT", rd)[0])]
        struct.pack_into(f"<Q{len(aux)}Q", block, 0x800, len(aux), *aux)
        host.machine.memory.write(params, bytes(block))
        host.ok("REC_CREATE", rd, rec_pa, params)
        rec = host.machine.rmm.recs()[0]  # as RSI_IPA_STATE_SET leaves it
        rec.ripas_base = rec.ripas_addr = IPA
        rec.ripas_top, rec.ripas_value = IPA + GIB, 0
        set_ = _over_a_gib(host, lambda at: host.ok("SET_RIPAS", rd, rec_pa, at, IPA + GIB)[0])  # noqa: B023
        yield what, init, set_
        host.close()


def flat() -> Iterator[tuple[str, float, float]]:
    """(realm memory, DATA_CREATE_UNKNOWN a second, READ_ENTRY a second), the last pages of realms of growing size."""
    for size, text in ((64 * MIB, "64 MiB"), (GIB, "1 GiB"), (4 * GIB, "4 GiB"), (16 * GIB, "16 GiB")):
        host = Host("20G")
        rd = host.realm()
        for at in range(IPA, IPA + size, 2 * MIB):
            host.tables(rd, at)
        at = IPA
        while at < IPA + size:
            at = host.ok("INIT_RIPAS", rd, at, IPA + size)[0] if size <= GIB else IPA + size
        pages = [host.delegated() for _ in range(512)]
        top = IPA + size - 2 * MIB
        create = rate(512, lambda i: host.ok("DATA_CREATE_UNKNOWN", rd, pages[i], top + i * GRANULE))  # noqa: B023
        read = rate(5_000, lambda i: host.ok("READ_ENTRY", rd, top + i % 512 * GRANULE, 3))  # noqa: B023
        yield text, create, read
        host.close()

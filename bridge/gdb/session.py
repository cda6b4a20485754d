# SPDX-License-Identifier: GPL-2.0-or-later
"""What GDB says, and the answers (GDB manual, E.2 to E.6).  No socket: packets in, packets out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bridge.arch.esr import Esr
from bridge.arch.registers import named
from bridge.bitfields import Field
from bridge.gdb.debuggee import CORE, Debuggee
from bridge.gdb.packets import MAX_PACKET, ProtocolError, data_of, number, unescape

SUPPORTED = (
    b"PacketSize=%x;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;ReverseStep+;ReverseContinue+;"
    b"qXfer:features:read+;qXfer:memory-map:read+;qXfer:threads:read+" % MAX_PACKET
)
OK, EMPTY = b"OK", b""
E_PACKET, E_MEMORY, E_THREAD, E_FULL = b"E01", b"E14", b"E03", b"E1c"
WATCHES = {2: (False, True), 3: (True, False), 4: (True, True)}  # Z2 write, Z3 read, Z4 access: (read, write)
MEMORY_MAP = (
    '<?xml version="1.0"?><memory-map><memory type="ram" start="0x0" length="0xffffffffffffffff"/></memory-map>'
)


class Resume(NamedTuple):
    """The machine is to go on.  over: without this debugger; kill: to its end; back: backwards, `s` or `c`."""

    over: bool = False
    kill: bool = False
    back: str = ""


class Session:
    """One GDB at one machine that stands still."""

    def __init__(self, debuggee: Debuggee) -> None:
        self._target = debuggee
        self.no_ack = False
        self.stop_reply = b"S05"
        self._general = 0
        self._resume_thread = 0
        self._breakpoints: set[tuple[int, int]] = set()
        self._prefixes: tuple[tuple[bytes, Callable[[bytes], bytes | Resume]], ...] = (
            (b"qSupported", lambda _: SUPPORTED),
            (b"QStartNoAckMode", self._start_no_ack),
            (b"qXfer:", self._transfer),
            (b"qfThreadInfo", lambda _: b"m" + b",".join(b"%x" % t.number for t in self._target.threads())),
            (b"qsThreadInfo", lambda _: b"l"),
            (b"qThreadExtraInfo,", self._thread_name),
            (b"qRcmd,", self._monitor),
            (b"qAttached", lambda _: b"1"),
            (b"qC", lambda _: b"QC%x" % self.thread),
            (b"qSymbol", lambda _: OK),
            (b"vCont?", lambda _: b"vCont;c;C;s;S"),
            (b"vCont", self._vcont),
            (b"vKill", lambda _: Resume(kill=True)),
            (b"v", lambda _: EMPTY),
            (b"q", lambda _: EMPTY),
            (b"Q", lambda _: EMPTY),
            (b"?", lambda _: self.stop_reply),
            (b"g", lambda _: self._all_registers()),
            (b"G", self._set_all),
            (b"p", self._register),
            (b"P", self._set_register),
            (b"m", self._read),
            (b"M", self._write),
            (b"X", self._write_binary),
            (b"Z", lambda rest: self._point(rest, True)),
            (b"z", lambda rest: self._point(rest, False)),
            (b"H", self._select),
            (b"T", self._alive),
            (b"c", lambda rest: self._go(rest, step=False)),
            (b"s", lambda rest: self._go(rest, step=True)),
            (b"C", lambda rest: self._go(rest.partition(b";")[2], step=False)),
            (b"S", lambda rest: self._go(rest.partition(b";")[2], step=True)),
            (b"D", lambda _: Resume(over=True)),
            (b"k", lambda _: Resume(kill=True)),
            (b"bs", lambda _: self._resume([], "s")),
            (b"bc", lambda _: self._resume([], "c")),
        )

    @property
    def thread(self) -> int:
        """What registers and memory are asked of."""
        return self._general or self._target.current()

    def handle(self, packet: bytes) -> bytes | Resume:
        """The answer to one packet, or that the machine goes on."""
        for prefix, answer in self._prefixes:
            if packet.startswith(prefix):
                try:
                    return answer(packet[len(prefix) :])
                except ProtocolError:
                    return E_PACKET
        return EMPTY

    def stopped(self, reply: bytes) -> None:
        """The machine stands still; `reply` says why."""
        if self.stop_reply is not reply:
            self.stop_reply = reply
            self._general = self._resume_thread = 0

    # Threads

    def _known(self, thread: int) -> bool:
        return any(one.number == thread for one in self._target.threads())

    def _thread_id(self, text: bytes) -> int:
        """0 for any, or all."""
        if text in (b"-1", b"0"):
            return 0
        thread = number(text)
        if not self._known(thread):
            raise ProtocolError("no such thread")
        return thread

    def _select(self, rest: bytes) -> bytes:
        thread = self._thread_id(rest[1:])
        if rest[:1] == b"g":
            self._general = thread
        elif rest[:1] == b"c":
            self._resume_thread = thread
        else:
            raise ProtocolError("Hg or Hc")
        return OK

    def _alive(self, rest: bytes) -> bytes:
        return OK if self._known(number(rest)) else E_THREAD

    def _thread_name(self, rest: bytes) -> bytes:
        thread = number(rest)
        for one in self._target.threads():
            if one.number == thread:
                return one.name.encode().hex().encode()
        return E_THREAD

    # Registers

    def _all_registers(self) -> bytes:
        values = self._target.registers(self.thread)
        sizes = [bits // 8 for _, bits in CORE] + [8] * len(self._target.system)
        parts = (
            b"xx" * size if value is None else value.to_bytes(size, "little").hex().encode()
            for value, size in zip(values, sizes, strict=True)
        )
        return b"".join(parts)

    def _size(self, index: int) -> int:
        if index >= len(CORE) + len(self._target.system):
            raise ProtocolError("no such register")
        return CORE[index][1] // 8 if index < len(CORE) else 8

    def _register(self, rest: bytes) -> bytes:
        index = number(rest)
        size = self._size(index)
        value = self._target.registers(self.thread)[index]
        return b"xx" * size if value is None else value.to_bytes(size, "little").hex().encode()

    def _set_register(self, rest: bytes) -> bytes:
        name, _, digits = rest.partition(b"=")
        index, data = number(name), data_of(digits)
        if len(data) != self._size(index):
            raise ProtocolError("not the register's size")
        good = self._target.set_register(self.thread, index, int.from_bytes(data, "little"))
        return OK if good else E_PACKET

    def _set_all(self, rest: bytes) -> bytes:
        """Only the general registers: what follows is left alone, unless it has changed."""
        at = 0
        new: list[tuple[int, int]] = []
        before = self._target.registers(self.thread)
        for index, old in enumerate(before):
            size = self._size(index)
            digits = rest[at : at + 2 * size]
            at += 2 * size
            if not digits:
                break
            if b"x" in digits:
                continue
            value = int.from_bytes(data_of(digits), "little")
            if value != old:
                new.append((index, value))
        good = [self._target.set_register(self.thread, index, value) for index, value in new]
        return OK if all(good) else E_PACKET

    # Memory

    def _read(self, rest: bytes) -> bytes:
        address, _, size = rest.partition(b",")
        va, wanted = number(address), min(number(size), MAX_PACKET // 2)
        data = self._target.read(self.thread, va, wanted) if wanted else b""
        return E_MEMORY if data is None else data.hex().encode()

    def _store(self, where: bytes, data: bytes) -> bytes:
        address, _, size = where.partition(b",")
        va = number(address)
        if number(size) != len(data):
            raise ProtocolError("not the size that it says")
        return OK if not data or self._target.write(self.thread, va, data) else E_MEMORY

    def _write(self, rest: bytes) -> bytes:
        where, _, digits = rest.partition(b":")
        return self._store(where, data_of(digits))

    def _write_binary(self, rest: bytes) -> bytes:
        where, _, data = rest.partition(b":")
        return self._store(where, unescape(data))

    def _point(self, rest: bytes, on: bool) -> bytes:
        fields = rest.partition(b";")[0].split(b",")
        if len(fields) != 3:
            raise ProtocolError("type,address,kind")
        kind, va, size = (number(field) for field in fields)
        if kind in (0, 1):
            (self._breakpoints.add if on else self._breakpoints.discard)((kind, va))
            return OK
        if kind not in WATCHES:
            return EMPTY
        if not 0 < size <= 1 << 20 or va + size > 1 << 64:
            raise ProtocolError("no such range")
        read, write = WATCHES[kind]
        return OK if self._target.set_watch(va, size, read=read, write=write, on=on) else E_FULL

    # Going on

    def _resume(self, steps: list[int], back: str = "") -> Resume:
        self._target.set_breakpoints(frozenset(va for _, va in self._breakpoints))
        for thread in steps:
            self._target.step(thread)
        return Resume(back=back)

    def _go(self, rest: bytes, *, step: bool) -> bytes | Resume:
        thread = self._resume_thread or self._target.current()
        if rest:
            self._target.set_register(thread, len(CORE) - 2, number(rest))
        return self._resume([thread] if step else [])

    def _vcont(self, rest: bytes) -> bytes | Resume:
        steps: list[int] = []
        taken: set[int] = set()
        default = False
        for action in rest.split(b";")[1:]:
            what, _, where = action.partition(b":")
            if what[:1] not in (b"c", b"C", b"s", b"S"):
                raise ProtocolError("no such action")
            thread = self._thread_id(where) if where else 0
            if thread in taken or default:
                continue  # the leftmost counts
            taken.add(thread)
            default = thread == 0
            if what[:1] in (b"s", b"S"):
                steps.append(thread or self._target.current())
        if not taken:
            raise ProtocolError("no action")
        return self._resume(steps)

    # Descriptions

    def _start_no_ack(self, rest: bytes) -> bytes:
        self.no_ack = True
        return OK

    def _transfer(self, rest: bytes) -> bytes:
        kind, _, tail = rest.partition(b":")
        verb, _, tail = tail.partition(b":")
        annex, _, window = tail.partition(b":")
        start, _, size = window.partition(b",")
        if verb != b"read":
            return EMPTY
        if kind == b"features" and annex == b"target.xml":
            text = target_xml(self._target)
        elif kind == b"memory-map" and not annex:
            text = MEMORY_MAP
        elif kind == b"threads" and not annex:
            text = threads_xml(self._target)
        else:
            return b"E00"
        data, at = text.encode(), number(start)
        part = data[at : at + min(number(size), MAX_PACKET - 64)]
        return (b"m" if at + len(part) < len(data) else b"l") + part

    def _monitor(self, rest: bytes) -> bytes:
        line = data_of(rest).decode("utf-8", "replace")
        text = self._target.monitor(self.thread, line).encode()
        return text[: MAX_PACKET // 2 - 2].hex().encode() or OK


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def threads_xml(target: Debuggee) -> str:
    """The thread list, with names."""
    rows = (f'<thread id="{one.number:x}" name="{_xml(one.name)}"/>' for one in target.threads())
    return f'<?xml version="1.0"?><threads>{"".join(rows)}</threads>'


def fields_of(name: str) -> Sequence[Field]:
    """The named bits of a system register, the highest first; none where it has none."""
    kind = Esr if name.startswith("ESR_") else named(name)
    return () if kind is None else tuple(kind.fields.values())


def target_xml(target: Debuggee) -> str:
    """The registers: GDB's own feature for AArch64, and one of ours for what is beyond."""

    def row(name: str, bits: int, extra: str) -> str:
        return f'<reg name="{name}" bitsize="{bits}"{extra}/>'

    kinds = {"sp": ' type="data_ptr"', "pc": ' type="code_ptr"'}
    core = "".join(row(name, bits, kinds.get(name, "")) for name, bits in CORE)
    fields = {name: fields_of(name) for name in target.system}
    flags = "".join(
        f'<flags id="{name}_bits" size="8">'
        + "".join(f'<field name="{one.name}" start="{one.lo}" end="{one.hi}"/>' for one in reversed(some))
        + "</flags>"
        for name, some in fields.items()
        if some
    )
    system = "".join(
        row(name, 64, ' group="system" save-restore="no"' + (f' type="{name}_bits"' if fields[name] else ""))
        for name in target.system
    )
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">'
        f'<architecture>aarch64</architecture><feature name="org.gnu.gdb.aarch64.core">{core}</feature>'
        f'<feature name="ccabridge.system">{flags}{system}</feature></target>'
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Which classes a machine's state consists of, and what of each is no state.

An attribute that nothing here names as wiring is state.  A new one that cannot be written (a callable, a handle) makes
the next snapshot fail by name, in the tests at the latest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bridge.errors import UserError


class Damaged(Exception):
    """Data that no snapshot of this version holds."""


class Unsupported(UserError):
    """Something in this machine cannot be written to a snapshot."""


def name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _wired(**classes: str) -> dict[str, frozenset[str]]:
    return {
        f"{module.replace('__', '.')}:{name}": frozenset(left_out.split())
        for key, left_out in classes.items()
        for module, _, name in [key.rpartition("__")]
    }


# In every machine of one configuration; found by the way there.
FIXED: dict[str, frozenset[str]] = _wired(
    machine__machine__Machine=(
        "config _out quiet_until poll progress last_exits interactive paced _overslept tracing tracer stops hafdbs "
        "memory board interrupts gic symbols images _cores running _host semihosting monitor gpt frozen interrupted pe "
        "past hosted scripted heard stdin coverage"
    ),
    machine__scheduler__Turns="",
    machine__clock__Alarms="_now",
    machine__bus__Bus="_pages",
    machine__unclaimed__Unclaimed="touches",
    machine__calls__CallLog="board listener trace moves _handle",
    machine__pe__Pe="core waiter",
    machine__stuck__Evidence=(
        "_machine _handle _repeating _faults _calls _waits _silence waits _wait_mark _next_look activity active_at"
    ),
    machine__secure__SecureService="_machine core",
    machine__ffa__world__SecureWorld="_root _observer",
    machine__ffa__partition__Endpoint="",
    machine__ffa__partition__Partition="",
    machine__attestation__LazyAttester="_machine _memory made root _shared_buffer",
    machine__recs__RootPlatform="machine",
    rmm__rmm__Rmm="memory features observer _amend _rmi _realm_calls paused",
    rmm__granule__Granules="observer",
    machine__devices__attach__Attached="endpoints _saves",
    machine__devices__console__Console="fed _sink _heard _receive _decoder",
    machine__devices__endpoints__ByteConsole="fed _sink _heard _receive _decoder _bytes",
    machine__devices__pl011__Pl011="_sink drained",
    machine__devices__ns16550__Ns16550="_sink drained",
    machine__devices__device__Wire="_line",
    machine__devices__ticks__Ticks="_action",
    machine__devices__sp804__Sp804="",
    machine__devices__sp804___Timer="_all",
    machine__devices__sp805__Sp805="_bark",
    machine__devices__sp810__Sp810="",
    machine__devices__pl031__Pl031="",
    machine__devices__sbsa_watchdog__SbsaWatchdog="_bark",
    machine__devices__sbsa_watchdog__RefreshFrame="",
    machine__devices__timer_frames__TimerFrame="_lines",
    machine__devices__timer_frames__TimerControl="",
    machine__devices__timer_frames__CounterControl="",
    machine__devices__timer_frames__CounterRead="",
    machine__devices__fvp_power__FvpPower="_power",
    machine__devices__fvp_power___State="",
    machine__devices__fvp_sysregs__FvpSysregs="_bark _off",
    machine__devices__flash__Flash="",
)

# Those that come and go.
MADE: dict[str, frozenset[str]] = _wired(
    machine__clock__Alarm="",
    machine__recs__RecCore="machine _core",
    machine__stuck__Fault="",
    rmm__realm__Realm="hash",
    rmm__realm__Params="",
    rmm__rec__Rec="",
    rmm__rec__RecParams="",
    rmm__rec__PsciRequest="",
    rmm__rec__LastExit="",
    rmm__token__Token="",
    rmm__frame__Frame="finish",
    rmm__exits__Exit="",
    rmm__protocols__RecExit="",
    rmm__protocols__RecInit="",
    rmm__protocols__Stage2="",
    rmm__protocols__Gic="",
    rmm__protocols__Timers="",
    rmm__features__Features="",
    machine__vmm__guest__LinuxGuest="machine description launch _console",
    machine__vmm__guest__ExitWatch="_sink",
    machine__vmm__guest__VirtioWindow="",
    machine__vmm__host__Payload="machine _console",
    machine__vmm__realm__Vmm="",
    machine__vmm__vcpu__Vcpu="",
    machine__vmm__door__Door="_machine _board",
    machine__vmm__pool__Pool="",
    machine__vmm__memory__RealmMemory="",
    machine__vmm__options__RealmOptions="",
    machine__vmm__shared__SharedMemory="",
    machine__vmm__run__Runner="machine _host_calls _answers",
    machine__vmm__run__PsciRequest="",
    machine__vmm__vgic__VGic="",
    machine__vmm__vgic__Bank="",
    machine__vmm__vgic__Vcpu="",
    machine__vmm__vgic_registers__Distributor="",
    machine__vmm__vgic_registers__Redistributors="",
    machine__vmm__virtio__transport__VirtioMmio="",
    machine__vmm__virtio__queue__Queue="",
    machine__vmm__virtio__queue__Chain="",
    machine__vmm__virtio__console__Console="",
    machine__vmm__virtio__rng__Rng="",
    machine__vmm__virtio__block__Block="",
    machine__vmm__virtio__disk__Overlay="",
    machine__vmm__virtio__disk__RawFile="_fd",
    machine__vmm__virtio__folder__Folder="_root",
    machine__vmm__virtio__ninep__NineP="_handlers",
    machine__vmm__virtio__ninep__Fid="",
    # the VMM's own
    machine__devices__pl011__Pl011="drained",
    machine__devices__ns16550__Ns16550="drained",
    machine__devices__device__Wire="",
    machine__bus__Bus="",
)


class Value(NamedTuple):
    """A class whose objects are equal to what `make` makes of what `take` gives."""

    take: Callable[[Any], Any]
    make: Callable[[Any], Any]


def _call(fid: int) -> object:
    from machine.ffa import abi as ffa
    from machine.ffa import sip
    from rmm.abi import by_fid, el3

    call = by_fid(fid) or ffa.calls_by_fid().get(fid)
    for one in (*sip.CALLS, el3.ATTEST_GET_REALM_KEY, el3.ATTEST_GET_PLAT_TOKEN):
        call = one if call is None and one.fid == fid else call
    if call is None:
        raise ValueError(f"no call has the function id {fid:#x}")
    return call


def _enum(name: str) -> Value:
    def make(value: Any) -> object:
        from machine.snapshot.codec import class_of

        return class_of(name)(value)

    return Value(lambda member: member.value, make)


def _tuple(name: str) -> Value:
    def make(value: Any) -> object:
        from machine.snapshot.codec import class_of

        return class_of(name)(*value)

    return Value(tuple, make)


VALUES: dict[str, Value] = {
    **dict.fromkeys(("rmm.abi.call:Call", "machine.ffa.abi:FfaCall"), Value(lambda call: call.fid, _call)),
    **{
        name: _enum(name)
        for name in (
            "machine.pe:Mode",
            "machine.ffa.partition:State",
            "machine.ffa.partition:Model",
            "machine.ffa.abi:Version",
            "bridge.pas:PAS",
            "bridge.pas:GPI",
            "machine.vmm.realm:State",
            "machine.devices.flash:Command",
            "rmm.protocols:ExitKind",
        )
    },
    **{
        name: _tuple(name)
        for name in (
            "machine.devices.attach:Placed",
            "machine.devices.timer_frames:Lines",
            "machine.vmm.run:PsciRequest",
            "machine.stops:Change",
            "machine.calls:CallRecord",
            "machine.stuck:Refusal",
        )
    },
}

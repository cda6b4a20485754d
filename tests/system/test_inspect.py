# SPDX-License-Identifier: GPL-2.0-or-later
"""What the inspection commands say of real machines in mid-run."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from bridge.errors import UserError
from machine.config.loader import load
from machine.inspect import COMMANDS, inspect
from machine.inspect.contexts import Context, context_of, contexts
from machine.machine import Machine
from machine.stops import Stop, Stops


def at_first(name: str, place: str, look: Callable[[Machine, Context], None]) -> None:
    """Runs a shipped machine and looks at it at the first stop at a place."""
    machine = Machine(load(name, []), lambda line: None)
    looked = []

    def front(stop: Stop) -> None:
        if not looked:
            context = context_of(machine, stop.core)
            assert context is not None
            looked.append(context)
            before = machine.board.insns, context.general()
            look(machine, context)
            assert (machine.board.insns, context.general()) == before

    try:
        Stops(machine, front).add(place)
        end = machine.run()
        assert end.__cause__ is None, end.__cause__
        assert looked
    finally:
        machine.close()


def test_realm__as_its_payload_sees_it() -> None:
    def look(machine: Machine, context: Context) -> None:
        (realm,) = machine.rmm.realms()
        pc = context.general()[2]
        assert "<main" in "\n".join(inspect(machine, context, "regs"))
        bt = inspect(machine, context, "bt")
        assert bt[0].startswith("#0 ") and "<main" in bt[0]
        rtt = inspect(machine, context, f"rtt {realm.rd:#x} {pc:#x}")
        assert "HIPAS TABLE" in rtt[1]
        assert "HIPAS ASSIGNED RIPAS RAM PA" in rtt[-1]
        lines = inspect(machine, context, f"walk {pc:#x} fetch")
        pa = int(re.findall(r"PA (0x[0-9a-f]+)", rtt[-1])[0], 16) | pc & 0xFFF
        assert lines[-1] == f"= PA {pa:#x}, realm"
        assert lines[-2].strip() == f"GPC: PA {pa:#x} is realm"
        assert not any("✗" in line for line in lines)
        granule = inspect(machine, context, f"granule {pa:#x}")
        assert "GPT realm, DATA" in granule[0]
        assert granule[1] == f"  data of realm {realm.rd:#x} at IPA {pc & ~0xFFF:#x}"
        assert any("DELEGATED → DATA by RMI_DATA_CREATE(" in line for line in granule)
        rim = inspect(machine, context, "rim")
        assert rim[0] == f"realm {realm.rd:#x}: RIM {realm.rim.hex()}"
        assert sum("RMI_REC_CREATE(" in line for line in rim) == 1
        assert any(
            "R-EL1" in line and "REC 0" in line and line.startswith("*") for line in inspect(machine, context, "world")
        )
        assert "=>" in inspect(machine, context, "dis")[4]
        assert any(
            line.startswith("  SCTLR_EL1 = ") and " M" not in line[:12] for line in inspect(machine, context, "rec")
        )

    at_first("hello-realm", "realm:main", look)


def test_walk__marks_the_step_that_fails() -> None:
    def look(machine: Machine, context: Context) -> None:
        lines = inspect(machine, context, "walk 0x40000000")
        assert sum("✗" in line for line in lines) == 1
        assert "✗ stage 2: translation fault" in lines[-2]
        assert lines[-1].endswith("(stage 2)")
        pe = contexts(machine)[0]
        (realm,) = machine.rmm.realms()
        lines = inspect(machine, pe, f"walk {realm.rd:#x}")
        assert f"✗ GPC: PA {realm.rd:#x} is realm, the access is non-secure" in lines[-2]
        assert "granule protection fault" in lines[-1]

    at_first("hello-realm", "realm:main", look)


@pytest.mark.parametrize("name", ["smp", "guest", "faults", "irqs", "secure"])
def test_walk__agrees_with_the_plugin(name: str) -> None:
    """The last line is the plugin's word, the others are read from the tables: both must find one place, or none."""
    machine = Machine(load(name, []), lambda line: None)
    compared = []

    def front(stop: Stop) -> None:
        for context in contexts(machine):
            if context.core is None:
                continue
            x, sp, pc, _ = context.general()
            for va, access in ((pc, "fetch"), (sp, "read"), (x[0], "read"), (x[1], "read")):
                *steps, verdict = inspect(machine, context, f"walk {va:#x} {access}")
                failed = any("✗" in line for line in steps)
                if verdict.startswith("= PA "):
                    assert not failed, steps
                    assert f"GPC: PA {verdict.split()[2][:-1]} is" in steps[-1]
                    compared.append(va)
                elif "permission" not in verdict and "access flag" not in verdict:
                    assert failed, (steps, verdict)
        if len(compared) < 2000:
            machine.board.stop_at(machine.board.insns + 1237)

    try:
        Stops(machine, front).add("insn:20000")
        end = machine.run()
        assert end.__cause__ is None, end.__cause__
        assert len(compared) > 100
    finally:
        machine.close()


def test_gpt__ranges_and_picture() -> None:
    def look(machine: Machine, context: Context) -> None:
        lines = inspect(machine, context, "gpt")
        assert any(line.endswith(" realm") for line in lines)
        (dram,) = [line for line in lines if " dram: " in line]
        assert "n" in dram and "+" in dram

    at_first("hello-realm", "rsi:*", look)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "what",
        "granule",
        "granule x",
        "granule -1",
        "rtt 0x1 0x2",
        "walk 0x0 jump",
        "walk nowhere",
        "rec 0x1000",
        "rim 5",
    ],
)
def test_command__nonsense_is_refused(line: str) -> None:
    def look(machine: Machine, context: Context) -> None:
        with pytest.raises(UserError):
            inspect(machine, context, line)

    at_first("hello-realm", "rsi:*", look)


def test_commands__take_any_address() -> None:
    """No guest-controlled or mistyped value may raise anything but a UserError."""

    def look(machine: Machine, context: Context) -> None:
        (realm,) = machine.rmm.realms()
        for value in (0, 1, 0x1234_5678_9ABC_DEF0, (1 << 64) - 1, 1 << 52, 1 << 40, realm.rd + 1):
            for line in (
                f"granule {value}",
                f"rtt {realm.rd} {value}",
                f"walk {value} write",
                f"phys {value} 64",
                f"dis {value}",
            ):
                for one in contexts(machine):
                    assert inspect(machine, one, line)
        assert all(inspect(machine, context, name) for name, c in COMMANDS.items() if c.least == 0)

    at_first("hello-realm", "realm:main", look)

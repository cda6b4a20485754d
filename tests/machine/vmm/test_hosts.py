"""One payload, two hosts: aarch64 firmware at NS-EL2 and the Python VMM."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.pas import GPI
from machine.config import load
from machine.end import GUEST_EXIT
from machine.machine import Machine
from tests.system.cli import ccabridge

SHIPPED = ["hello-realm", "rsi-tour", "ripas", "destroyed", "faults", "sve"]


# The Python VMM runs one realm, the machine has three.
ALONE = {"sve": ("realms=[{name: wide, image: 'firmware:sve', sve: 512, personalization: '512'}]",)}


def boot(name: str, *overrides: str) -> tuple[Machine, list[str]]:
    lines: list[str] = []
    return Machine(load(name, [*ALONE.get(name, ()), *overrides]), lines.append), lines


@pytest.mark.parametrize("name", SHIPPED)
def test_payloads__end_well_under_the_vmm(name: str) -> None:
    machine, lines = boot(name, "boot.host=vmm")
    before = list(machine.gpt.ranges())
    end = machine.run()
    assert (end.kind, end.code) == (GUEST_EXIT, 0), (end.reason, lines[-5:])
    assert list(machine.gpt.ranges()) == before
    assert not [line for line in lines if "FAIL" in line]
    machine.close()


@pytest.mark.parametrize("name", ["hello-realm", "sve"])
@pytest.mark.parametrize("overrides", [(), ("realms.0.hash=sha512",), ("realms.0.recs=3",), ("realms.0.ipa_bits=40",)])
def test_rim__is_the_same_under_both_hosts(name: str, overrides: tuple[str, ...]) -> None:
    def rim(host: str) -> bytes:
        machine, _ = boot(name, f"boot.host={host}", *overrides)
        seen: list[bytes] = []

        class Watch:
            def call(self, record: object) -> None:
                if not seen and getattr(getattr(record, "decl", None), "name", "") == "RMI_REALM_ACTIVATE":
                    seen.append(machine.rmm.realms()[0].rim)

            def event(self, name: str, insns: int, text: str, depth: int) -> None:
                """Only calls matter."""

        machine.calls.listener = Watch()
        assert machine.run().code == 0
        machine.close()
        return seen[0]

    assert rim("firmware") == rim("vmm")


def test_payload__on_a_board_without_host_firmware(tmp_path: Path) -> None:
    """Nothing is loaded for the Normal world, and nothing is staged there."""
    file = tmp_path / "m.yaml"
    file.write_text("layers: [boards/vmm.yaml]\nrealms: [{name: a, image: 'firmware:hello'}]\n")
    machine, lines = boot(str(file))
    end = machine.run()
    assert (end.kind, end.code) == (GUEST_EXIT, 0), end.reason
    assert any("Hello from a realm at R-EL1" in line for line in lines)
    machine.close()


def test_vmm__same_bytes_twice() -> None:
    first, second = (ccabridge("run", "rsi-tour", "-s", "boot.host=vmm", "--trace") for _ in range(2))
    assert first.code == 0
    assert first.out == second.out


def test_vmm__leaves_nothing_delegated() -> None:
    machine, _ = boot("ripas", "boot.host=vmm")
    machine.run()
    pool = machine.config.boot.pool
    assert pool is not None
    assert all(gpi != GPI.REALM or base < pool.base for base, _, gpi in machine.gpt.ranges())
    machine.close()

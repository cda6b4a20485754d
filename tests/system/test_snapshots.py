# SPDX-License-Identifier: GPL-2.0-or-later
"""Snapshots of whole machines: what comes out of the file goes on bit for bit, and only whole files come in."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from machine.config.loader import load
from machine.machine import Machine
from machine.snapshot.file import MAGIC, Reader, save
from machine.snapshot.state import state_hash
from machine.snapshot.taking import Taking, silent
from machine.stops import Stops
from machine.vmm.linux.cache import cached_kernels
from tests.system.cli import ccabridge

SMALL = [
    "hello-realm",
    "awkward",
    "attacker",
    "conformance",
    "destroyed",
    "faults",
    "guest",
    "irqs",
    "mini-linux",
    "pmu",
    "power",
    "ripas",
    "rsi-tour",
    "secure",
    "secure-irqs",
    "smp",
    "sve",
    "token",
]
needs_kernel = pytest.mark.skipif(not cached_kernels(), reason="no Linux kernel is cached: ccabridge fetch-kernel")

Ended = tuple[str, int, str, int, list[int], str, list[str]]


def ended(machine: Machine, output: list[str]) -> Ended:
    """Runs a machine to its end: which, after how much, in which state, having said what."""
    try:
        end = machine.run()
        insns = [core.insns for core in machine.cores]
        return end.kind, end.code, end.reason, machine.board.insns, insns, state_hash(machine), list(output)
    finally:
        machine.close()


def plain(name: str, *overrides: str) -> Ended:
    output: list[str] = []
    return ended(Machine(load(name, overrides), output.append), output)


def interrupted(name: str, at: int, path: Path, *overrides: str) -> tuple[Ended, Ended]:
    """The run that takes a snapshot at an instruction, and the one that goes on with it."""
    output: list[str] = []
    machine = Machine(load(name, overrides), output.append)
    said: list[int] = []
    taking = Taking(machine, Stops(machine, silent), lambda text: said.append(len(output)))
    taking.at(f"insn:{at}", str(path))
    first = ended(machine, output)
    assert taking.missed() == []
    before = output[: said[0]]
    rest: list[str] = []
    second = ended(Reader(str(path)).machine(rest.append), rest)
    return first, (*second[:6], before + second[6])


@pytest.mark.parametrize("name", SMALL)
def test_snapshot__goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Counts, consoles and the state at the end; in the middle of blocks, of RECs, of the Secure world, of any PE."""
    whole = plain(name)
    taken, resumed = interrupted(name, int(whole[3] * 0.61), tmp_path / "a.snap")
    assert taken == whole
    assert resumed == whole


@needs_kernel
@pytest.mark.parametrize("vcpus", [1, 2])
def test_snapshot__linux_realm(vcpus: int, tmp_path: Path) -> None:
    setting = [f"vmm.vcpus={vcpus}", "vmm.script=echo from the realm"]
    whole = plain("linux-realm", *setting)
    taken, resumed = interrupted("linux-realm", whole[3] * 3 // 5, tmp_path / "a.snap", *setting)
    assert taken == whole
    assert resumed == whole
    assert "[realm 0] from the realm\n" in resumed[6]


def test_state_hash__sees_a_register_a_byte_and_a_granule() -> None:
    machine = Machine(load("hello-realm", []), lambda text: None)
    try:
        seen = {state_hash(machine)}
        machine.host.set_x(7, [1])
        seen.add(state_hash(machine))
        machine.memory.write(0x8800_0000, b"\1")
        seen.add(state_hash(machine))
        machine.rmm.granules.add_refs(0x8800_0000, 1)
        seen.add(state_hash(machine))
        assert len(seen) == 4
        machine.rmm.granules.add_refs(0x8800_0000, -1)
        assert state_hash(machine) in seen
    finally:
        machine.close()


# In another process


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("snapshot") / "hello.snap"
    result = ccabridge("run", "hello-realm", "--snapshot-at", "rmi:REALM_ACTIVATE", str(path))
    assert result.code == 0
    assert re.search(rf"^ccabridge: snapshot at [\d,]+ instructions: {path}, ", result.err, re.MULTILINE)
    return path


def test_resume__in_another_process(snapshot: Path) -> None:
    whole, rest = ccabridge("run", "hello-realm"), ccabridge("resume", str(snapshot))
    assert (whole.code, rest.code) == (0, 0)
    assert whole.out.endswith(rest.out)
    assert rest.out.startswith("[realm 0] Hello from a realm")


def test_resume__with_a_trace(snapshot: Path, tmp_path: Path) -> None:
    """The rest of the calls is that of the whole run."""
    files = [tmp_path / "whole.jsonl", tmp_path / "rest.jsonl"]
    assert ccabridge("run", "hello-realm", "--trace=rsi_*", "--trace-file", str(files[0])).code == 0
    assert ccabridge("resume", str(snapshot), "--trace=rsi_*", "--trace-file", str(files[1])).code == 0
    whole, rest = (file.read_text().splitlines()[1:] for file in files)
    assert rest
    assert whole[-len(rest) :] == rest


def test_snapshot_hash__is_that_of_the_machine(snapshot: Path) -> None:
    machine = Reader(str(snapshot)).machine(lambda text: None)
    try:
        expected = state_hash(machine)
    finally:
        machine.close()
    assert ccabridge("snapshot", "hash", str(snapshot)).out == f"{expected}\n"


def test_inspect__a_snapshot(snapshot: Path) -> None:
    """States, owners and history are those of the machine at that instruction."""
    realm = ccabridge("inspect", str(snapshot), "realm")
    assert realm.out.startswith("realm 0x94000000: ACTIVE, VMID 1\n")
    granule = ccabridge("inspect", str(snapshot), "granule", "0x94000000").out
    assert "RD" in granule
    assert "RMI_REALM_CREATE" in granule
    assert "RMI_DATA_CREATE" in ccabridge("inspect", str(snapshot), "rim").out
    walk = ccabridge("inspect", str(snapshot), "rtt", "0x94000000", "0x80000000")
    assert "level 3" in walk.out
    assert "REC 0" in ccabridge("inspect", str(snapshot), "rec").out
    wrong = ccabridge("inspect", str(snapshot), "granul", "0")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_inspect__looks_from_the_rec_that_was_running(tmp_path: Path) -> None:
    path = str(tmp_path / "main.snap")
    assert ccabridge("run", "hello-realm", "--snapshot-at", "realm:main", path).code == 0
    assert re.match(r"#0 0x8000\w+ <main>", ccabridge("inspect", path, "bt").out)
    assert "* Realm R-EL1, REC 0 of realm" in ccabridge("inspect", path, "world").out
    first, place = ccabridge("resume", path, "-S").lines[:2]
    assert first.endswith("before the first instruction that is left to run")
    assert re.match(r"  Realm R-EL1, REC 0 of realm 0x\w+ => 0x\w+ <main>", place)


def test_snapshot_at__a_place_that_is_not_reached(tmp_path: Path) -> None:
    path = tmp_path / "never.snap"
    result = ccabridge("run", "hello-realm", "--snapshot-at", "insn:999999999", str(path))
    assert result.code == 0
    assert f"the run did not get to where {path} was to be taken" in result.err
    assert not path.exists()


# What is refused


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("cut", "damaged: its checksum"),
        ("empty", "not a snapshot of ccabridge"),
        ("foreign", "not a snapshot of ccabridge"),
        ("newer", "a snapshot of a newer version (2; this ccabridge has 1)"),
        ("older", "a snapshot of an older version (0; this ccabridge has 1)"),
        ("header", "damaged: its checksum"),
        ("memory", "damaged: its checksum"),
    ],
)
def test_resume__refuses_other_files(what: str, expected: str, snapshot: Path, tmp_path: Path) -> None:
    data = bytearray(snapshot.read_bytes())
    match what:
        case "cut":
            del data[-100:]
        case "empty":
            data.clear()
        case "foreign":
            data[:8] = b"\x7fELF\2\1\1\0"
        case "newer" | "older":
            struct.pack_into("<I", data, len(MAGIC), 2 if what == "newer" else 0)
        case "header":
            data[20] ^= 1
        case _:
            data[-1000] ^= 0x80
    path = tmp_path / "bad.snap"
    path.write_bytes(data)
    result = ccabridge("resume", str(path))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"ccabridge: error: {path}: {expected}")
    assert result.err.count("\n") == 1


def test_resume__refuses_changed_images(tmp_path: Path) -> None:
    """A reset would load others, and symbols would lie."""
    image = tmp_path / "payload.elf"
    hello = Path(load("hello-realm", []).source.path).parents[1] / "firmware/build/hello.elf"
    image.write_bytes(hello.read_bytes())
    path = tmp_path / "a.snap"
    assert ccabridge("run", str(image), "--snapshot-at", "rmi:REALM_ACTIVATE", str(path)).code == 0
    image.write_bytes(hello.read_bytes() + b"\0")
    result = ccabridge("resume", str(path))
    assert result.code == 2
    assert result.err == f"ccabridge: error: {path}: {image} is not what it was when the snapshot was taken\n"


def test_save__is_whole_or_not_at_all(tmp_path: Path) -> None:
    machine = Machine(load("hello-realm", []), lambda text: None)
    try:
        path = tmp_path / "a.snap"
        size = save(machine, str(path))
        assert path.stat().st_size == size
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.snap"]
        result = ccabridge("run", "hello-realm", "--snapshot-at", "insn:1000", str(tmp_path / "no/b.snap"))
        assert result.code == 2
        assert result.err == f"ccabridge: error: {tmp_path}/no/b.snap: No such file or directory\n"
    finally:
        machine.close()


# Secrets


def test_save__holds_no_key(tmp_path: Path) -> None:
    """The platform's seed is withheld; the realm key is nowhere, though a token has been signed with it."""
    from machine.attestation import Identity

    whole: list[str] = []
    machine = Machine(load("token", ["platform.seed=7"]), whole.append)
    path = tmp_path / "a.snap"
    taking = Taking(machine, Stops(machine, silent), lambda text: None)
    taking.at("rsi:ATTESTATION_TOKEN_CONTINUE status==INCOMPLETE", str(path))
    key = Identity(machine.config).realm_key()
    first = ended(machine, whole)
    reader = Reader(str(path))
    state, past = reader.state()
    parts = [state.board, *state.cores, state.graph, past, *(bytes(pages.data) for pages in state.memory)]
    assert not any(key in part or key[::-1] in part for part in parts)
    assert reader.header.withheld == ["platform.seed"]
    assert re.search(r"^platform:\n(  .*\n)*?  seed:", reader.header.config, re.MULTILINE) is None
    refused = ccabridge("resume", str(path))
    assert refused.code == 2
    assert refused.err.endswith("no snapshot holds platform.seed: give it again with -s platform.seed=VALUE\n")
    other = ccabridge("resume", str(path), "-s", "platform.seed=8")
    assert other.code == 2
    assert "the realm attestation key is another one" in other.err
    rest: list[str] = []
    assert ended(reader.machine(rest.append, ["platform.seed=7"]), rest)[:6] == first[:6]
    assert "".join(whole).endswith("".join(rest))

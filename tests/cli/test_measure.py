# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge measure`: text, JSON, steps, the kvmtool-style command line, and why two RIMs differ."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from machine.config.shipped import names
from machine.vmm.linux.cache import cached_kernel
from rmm.measurement import SLOT
from tests.machine.linux.files import NOP, image

RIM = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "Image").write_bytes(image(NOP * 32))
    (tmp_path / "initrd").write_bytes(b"an initrd")
    return tmp_path


def realm(folder: Path, *words: str) -> tuple[str, ...]:
    """A realm by the kvmtool-style command line."""
    return ("--realm", "-k", f"{folder}/Image", "-i", f"{folder}/initrd", "-p", "quiet", "-m", "64", *words)


@pytest.mark.parametrize("name", names())
def test_json__is_what_the_text_says(say: Any, name: str) -> None:
    """Of every shipped machine that has realms of its own."""
    text = say("measure", name)
    if text.code == 2:
        linux = name.startswith("linux-") and cached_kernel() is None
        assert linux or re.search(r"has no realm|makes realms of its own|nothing is loaded", text.err), text.err
        return
    found = [json.loads(line) for line in say("measure", name, "--json", "--steps").lines]
    assert text.lines == [f"realm {one['realm']}: {one['hash']} {one['rim']}" for one in found]
    for one in found:
        assert one["steps"][0]["call"] == "RMI_REALM_CREATE" and one["steps"][-1]["call"] == "RMI_REC_CREATE"
        assert one["steps"][-1]["rim"] == one["rim"] and len(one["rim"]) <= 2 * SLOT
    short = [json.loads(line) for line in say("measure", name, "--json").lines]
    assert short == [{key: one[key] for key in ("realm", "hash", "rim")} for one in found]
    assert say("measure", name, "--rim").lines == [one["rim"] for one in found]


def test_steps__which_page_which_range_which_rec(say: Any) -> None:
    lines = say("measure", "hello-realm", "--steps", "-s", "realms.0.recs=3", "-s", "realms.0.ram.size=4M").lines
    calls = [line.partition(" ")[0] for line in lines]
    pages = calls.count("RMI_DATA_CREATE")
    assert calls == ["RMI_REALM_CREATE", *["RMI_RTT_INIT_RIPAS"] * 2, *["RMI_DATA_CREATE"] * pages,
                     "RMI_REC_CREATE", "RMI_REC_CREATE", "realm"]  # fmt: skip
    assert lines[1].startswith("RMI_RTT_INIT_RIPAS 0x80000000 to 0x801fffff: ")
    assert lines[3].startswith("RMI_DATA_CREATE image 0x80000000 to 0x80000fff: ")
    assert re.fullmatch(
        r"RMI_REC_CREATE flags=0x1 pc=0x80000000 x0=0x80000000 x1=0x400000 x2=0x100000000 x3=0x21 x4=0x\w+: \w{64}",
        lines[-3],
    )
    assert lines[-2] == "RMI_REC_CREATE of 2 more, not runnable: not measured"
    rims = RIM.findall("\n".join(lines))
    assert len(set(rims)) == len(rims) - 1 and rims[-1] == rims[-2]


# The kvmtool-style command line


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_realm__is_the_machine_file_in_other_words(say: Any, files: Path, algorithm: str) -> None:
    file = files / "machine.yaml"
    vmm = {"kernel": f"{files}/Image", "initrd": f"{files}/initrd", "cmdline": "quiet", "memory": "64M", "vcpus": 2}
    file.write_text(json.dumps({"layers": ["linux-realm"], "vmm": {**vmm, "hash": algorithm}}))
    by_words = say("measure", *realm(files, "-c", "2", "--measurement-algo", algorithm))
    assert by_words.code == 0 and by_words.out == say("measure", str(file)).out
    assert by_words.lines[0].startswith(f"realm linux: {algorithm} ")


def test_realm__writes_none_of_the_files_that_a_run_writes(say: Any, files: Path) -> None:
    (files / "disk").write_bytes(bytes(4096))
    words = ("-d", f"{files}/disk,rw", "--dump-dtb", f"{files}/dtb", "--net-capture", f"{files}/pcap")
    before = {path.name: path.stat().st_mtime_ns for path in files.iterdir()}
    assert say("measure", *realm(files, *words)).code == 0
    assert {path.name: path.stat().st_mtime_ns for path in files.iterdir()} == before


# Why two differ


def saved(say: Any, folder: Path, name: str, *words: str) -> str:
    said = say("measure", *words, "--steps", "--json")
    assert said.code == 0
    (folder / name).write_text(said.out)
    return str(folder / name)


def test_diff__of_what_was_printed(say: Any, files: Path) -> None:
    """Two command lines; the DTB's property says which word."""
    a = saved(say, files, "a", *realm(files))
    b = saved(say, files, "b", *realm(files, "-p", "quiet panic=1", "--realm-pv", "x"))
    said = say("measure", "diff", a, b)
    assert said.code == 1 and said.lines[0] == "realm linux: the RIMs differ"
    assert any(re.fullmatch(r"  dtb: /chosen/bootargs: .*quiet / .*quiet panic=1", line) for line in said.lines)
    assert said.lines[-1] == "  not measured: personalization value: none / x"
    assert not any(line.startswith(("  kernel", "  initrd", "  RAM", "  REC")) for line in said.lines)
    value = json.loads(say("measure", "diff", a, b, "--json").out)
    assert value["rims"][0] != value["rims"][1] and value["realms"] == ["linux"]
    assert [f"  {line}" for line in value["differences"]] == said.lines[1:-1]
    assert value["not measured"] == ["personalization value: none / x"]


def test_diff__of_two_machines_and_of_one_with_changes(say: Any) -> None:
    said = say("measure", "diff", "hello-realm", "hello-realm", "-s", "realms.0.personalization=x")
    assert said.code == 0 and said.lines[0] == "realm hello: the RIMs are equal"
    said = say("measure", "diff", "hello-realm", "token")
    assert said.code == 1 and said.lines[0] == "realm hello / token: the RIMs differ"


CUT = '{"realm":"a","hash":"sha256","rim":"00","steps":['
WRONG = [
    (CUT, "not the output of `measure --steps --json`"),
    (CUT + '],"unmeasured":{}}', "it has no steps"),
    ('{"realm":"a","hash":"sha256","rim":"00"}', "not the output of `measure --steps --json`"),
    ('{"realm":' + "[" * 100_000, "not the output of `measure --steps --json`"),
    (CUT + '{"call":1,"rim":""}],"unmeasured":{}}', "not the output of `measure --steps --json`"),
]


@pytest.mark.parametrize(("text", "what"), WRONG)
def test_diff__of_what_was_not_printed(say: Any, tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "file").write_text(text)
    for words in ((f"{tmp_path}/file", "hello-realm"), ("hello-realm", f"{tmp_path}/file")):
        said = say("measure", "diff", *words)
        assert said.code == 2 and said.out == "" and what in said.err and len(said.err.splitlines()) == 1


def test_diff__of_steps_that_somebody_made_up(say: Any, tmp_path: Path) -> None:
    """Hostile values come out as one line each."""
    step = {"call": "RMI_DATA_CREATE", "rim": "", "what": "\x1b[2J\n", "base": -1, "digest": "x"}
    made_up = {"realm": "\x07", "hash": "", "rim": "", "steps": [step, step], "unmeasured": {"\n": "\n"}}
    (tmp_path / "file").write_text(json.dumps(made_up, separators=(",", ":")))
    for words in ((f"{tmp_path}/file", "hello-realm"), ("hello-realm", f"{tmp_path}/file")):
        said = say("measure", "diff", *words)
        assert said.code == 1 and all(line.isprintable() for line in said.out.split("\n"))


def test_usage(say: Any) -> None:
    assert "diff" in say("measure", "diff", "hello-realm").err
    assert "the machine has no realm" in say("measure", "guest").err
    assert say("measure", "hello-realm", "token").code == 2
    assert say("measure", "hello-realm", "-c", "2").err == "ccabridge: error: measure: --cpus needs --realm\n"
    assert "measure: the following arguments are required: FILE" in say("measure").err


def test_note__of_a_host_that_is_not_ours(say: Any, tmp_path: Path) -> None:
    from machine.config.files import locate

    (tmp_path / "host.elf").write_bytes(Path(locate("firmware:host", "x")).read_bytes())
    said = say("measure", "hello-realm", "-s", f"load.host.file={tmp_path}/host.elf")
    assert said.code == 0 and f"note: {tmp_path}/host.elf may build realms otherwise" in said.err
    assert say("measure", "hello-realm").err == ""

"""`ccabridge run --realm`: kvmtool's options, what they become, and what is refused by name (docs/vmm.md)."""

from __future__ import annotations

import argparse
import ast
import struct
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import load_command, realm, run, vmm_docs
from bridge.cli import main as ccabridge
from bridge.cli.parser import make_parser
from bridge.errors import UserError
from machine.config import load
from machine.config.loader import MachineConfig
from machine.vmm.errors import REFUSALS
from machine.vmm.verbs import VERBS


def parse(*words: str) -> argparse.Namespace:
    return make_parser("run", load_command("run")).parse_args(["--realm", *words])


def configured(*words: str) -> MachineConfig:
    return run._configure(parse(*words))


def vmm_of(*words: str) -> Any:
    return configured(*words).vmm


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4096))
    return path


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (("-c", "3"), "vcpus", 3),
        (("--cpus=3",), "vcpus", 3),
        (("-m", "256M"), "memory", 256 << 20),
        (("-m", "256"), "memory", 256 << 20),  # kvmtool: mebibytes
        (("--mem", "1g"), "memory", 1 << 30),
        (("-p", "a=b  c,d"), "cmdline", "a=b  c,d"),
        (("-p", "yes"), "cmdline", "yes"),
        (("--params=-x 017 # not a comment",), "cmdline", "-x 017 # not a comment"),
        (("--console", "virtio"), "console", "virtio"),
        (("--console=pl011",), "console", "pl011"),
        (("--measurement-algo", "sha512"), "hash", "sha512"),
        (("--measurement-algo=sha-256",), "hash", "sha256"),
        (("--realm-pv", "name"), "rpv", b"name".ljust(64, b"\0")),
        (("--realm-pv", "hex:00ff"), "rpv", b"\0\xff".ljust(64, b"\0")),
        (("--sve-vl", "256"), "sve", 256),
        (("--disable-sve",), "sve", 0),
        (("--pmu",), "pmu", "all"),
        (("--pmu-counters", "0"), "pmu", 0),
        (("--exec", "echo hi; exit 3"), "script", "echo hi; exit 3"),
        (("--busybox",), "busybox", True),
        (("--module", "a", "--module", "b"), "modules", ["a", "b"]),
        (("--irqchip=gicv3", "--nocompat", "--no-pvtime", "--restricted_mem", "--rng"), "rng", True),
        ((), "memory", 256 << 20),
    ],
)
def test_option__becomes_its_key(words: tuple[str, ...], key: str, value: object) -> None:
    assert getattr(vmm_of(*words), key) == value


def test_disks_and_folders__with_their_modes(image: Path, tmp_path: Path) -> None:
    disks = vmm_of("-d", str(image), "--disk", f"{image},ro").disks
    assert [(disk.file, disk.mode) for disk in disks] == [(str(image), "overlay"), (str(image), "ro")]
    assert vmm_of("-d", f"{image},rw").disks[0].mode == "rw"
    shares = vmm_of("--9p", f"{tmp_path},one", "--9p", f"{tmp_path},two,rw").shares
    assert [(share.tag, share.writable) for share in shares] == [("one", False), ("two", True)]


def test_network__user_mode_or_none(tmp_path: Path) -> None:
    assert vmm_of().net is None
    assert vmm_of("-n", "user").net is not None
    assert vmm_of("--network", "mode=user").net is not None
    assert vmm_of("-n", "none", "-s", "vmm.rng=false").net is None
    assert vmm_of("--net-capture", str(tmp_path / "x.pcap")).net.capture == str(tmp_path / "x.pcap")


def test_options__stand_over_the_file_and_below_set(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("layers: [boards/vmm.yaml]\nvmm: {memory: 512M, vcpus: 2, net: {}, rng: false}\n")
    vmm = vmm_of(str(file), "-c", "3", "-n", "none", "-s", "vmm.vcpus=4")
    assert (vmm.memory, vmm.vcpus, vmm.net, vmm.rng) == (512 << 20, 4, None, False)


def test_paths__of_the_file_are_the_files_and_of_options_the_shells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("layers: [boards/vmm.yaml]\nvmm: {kernel: Image, disks: [{file: d.img}], dump_dtb: out.dtb}\n")
    monkeypatch.chdir("/")
    vmm = vmm_of(str(file), "-i", "here.cpio")
    assert (vmm.kernel, vmm.disks[0].file, vmm.dump_dtb) == tuple(
        str(tmp_path / name) for name in ("Image", "d.img", "out.dtb")
    )
    assert vmm.initrd == "here.cpio"


@pytest.mark.parametrize("option", realm.OPTIONS, ids=lambda option: str(option.name))
def test_every_option__needs_realm(option: realm.Option, capsys: pytest.CaptureFixture[str]) -> None:
    words = [option.flags[0]] if option.value is None else [option.flags[0], "1"]
    assert ccabridge(["run", "hello-realm", *words]) == 2
    assert capsys.readouterr().err == f"ccabridge: error: run: {option.name} needs --realm\n"


@pytest.mark.parametrize("known", realm.MEANINGLESS, ids=lambda known: str(known.name))
def test_option_without_meaning__needs_realm_too(known: realm.Known, capsys: pytest.CaptureFixture[str]) -> None:
    assert ccabridge(["run", "hello-realm", known.name]) == 2
    assert capsys.readouterr().err == f"ccabridge: error: run: {known.name} needs --realm\n"


@pytest.mark.parametrize("known", realm.REFUSED, ids=lambda known: str(known.name))
def test_option_that_is_not_served__is_refused_by_name(known: realm.Known) -> None:
    for words in ([known.name, "x"] if known.value else [known.name], [known.name]):
        with pytest.raises(UserError, match=f"^run: {known.name} is not served: "):
            parse(*words)


def test_machine__is_needed_without_realm(capsys: pytest.CaptureFixture[str]) -> None:
    assert ccabridge(["run"]) == 2
    assert "the following arguments are required: FILE|NAME|ELF" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-n", "tap"), "run: --network tap: user or none is served"),
        (("--console", "hv"), "run: --console hv: serial or virtio or pl011 is served"),
        (("--irqchip=gicv2",), "run: --irqchip gicv2: gicv3 is served"),
        (("--measurement-algo", "md5"), "run: --measurement-algo md5: sha256 or sha512 is served"),
        (("-d", "x,rx"), "run: --disk x,rx: expected FILE, FILE,ro or FILE,rw, got the mode `rx`"),
        (("--9p", "/tmp"), "run: --9p /tmp: expected FOLDER,TAG or FOLDER,TAG,rw"),
        (("--sve-vl", "128", "--disable-sve"), "run: --sve-vl and --disable-sve exclude each other"),
        (("--pmu", "--pmu-counters", "2"), "run: --pmu and --pmu-counters exclude each other"),
        (("-n", "none", "--net-capture", "x"), "run: --net-capture needs a network, which -n none takes away"),
        (("-c", "9"), "--cpus: vmm.vcpus: expected at most 8, got `9`"),
        (("-m", "lots"), "--mem: vmm.memory: expected a size"),
        (("-m", "0"), "--mem: vmm.memory: expected a size"),
        (("-m", "8G"), "--mem: vmm.memory: 8G of RAM, its tables and RECs do not fit into boot.pool (6G)"),
        (("--realm-pv", "x" * 65), "--realm-pv: vmm.personalization: 65 bytes, a realm personalization value has 64"),
        (("--realm-pv", "hex:0"), "--realm-pv: vmm.personalization: expected pairs of hexadecimal digits"),
        (("-s", "rmm.features.sha512=false", "--measurement-algo=sha512"), "--measurement-algo: vmm.hash: sha512 is"),
        (("--dump-dtb", "/nosuch/x"), "--dump-dtb: vmm.dump_dtb: /nosuch: no such directory"),
        (("hello-realm",), "--realm: vmm: needs `boot.host: vmm`, this machine's host is firmware"),
        (("hello-realm", "-s", "boot.host=vmm"), "--realm: vmm: the machine has `realms` as well"),
        (("-i", "x", "--exec", "true"), "--exec: vmm.script: is for the project's initramfs"),
        (("--9p", "/,a", "--9p", "/tmp,a"), "--9p: vmm.shares[1].tag: a is another's"),
        (("-s", "boot.pool=null"), "boot.pool is missing: the VMM has nothing to make a realm of"),
    ],
)
def test_wrong_value__one_line_that_names_the_option(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(UserError) as caught:
        configured(*words)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("-k", "nosuch"), "--kernel: vmm.kernel: nosuch: No such file or directory"),
        (("-i", "nosuch"), "--initrd: vmm.initrd: nosuch: No such file or directory"),
        (("--dtb", "/"), "--dtb: vmm.dtb: /: not a file"),
        (("-d", "nosuch"), "--disk: vmm.disks[0].file: nosuch: No such file or directory"),
        (("--9p", "nosuch,x"), "--9p: vmm.shares[0].folder: nosuch: No such file or directory"),
        (("--9p", "KERNEL,x"), "--9p: vmm.shares[0].folder: KERNEL: not a folder"),
        (("-k", "JUNK"), "--kernel: vmm.kernel: JUNK: not an arm64 kernel"),
        (("-k", "KERNEL", "--dtb", "JUNK"), "--dtb: vmm.dtb: JUNK: not a flattened device tree"),
        (
            ("-k", "KERNEL", "-p", "earlycon=uart,mmio,0x1000000"),
            "--params: vmm.cmdline: `earlycon=uart,mmio,0x1000000`: 0x1000000 is a protected address (RIPAS EMPTY), "
            "where a realm has no devices: use 0x101000000",
        ),
        (("-k", "KERNEL", "-p", "acpi=force"), "--params: vmm.cmdline: `acpi=force`: ACPI is not supported"),
        # What RmiFeatureRegister0 does not offer, before a granule is delegated: option, value, what is there.
        (
            ("-k", "KERNEL", "--sve-vl", "256"),
            "--sve-vl: vmm.sve: configure: the RMM does not offer this: sve_",
        ),
        (("-k", "KERNEL", "--pmu"), "--pmu: vmm.pmu: configure: the RMM does not offer this: pmu_counters=0"),
        (("-k", "KERNEL", "--pmu-counters", "2"), "--pmu-counters: vmm.pmu: configure: the RMM does not offer this"),
    ],
)
def test_wrong_file_or_wish__one_line_before_a_granule_is_delegated(
    words: tuple[str, ...],
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from machine.vmm.door import Door

    def delegated(*_args: object) -> None:
        raise AssertionError("the realm was made")

    kernel, junk = tmp_path / "Image", tmp_path / "junk"
    # Linux, booting.rst: text_offset, image_size, flags (4K pages, anywhere), magic.
    kernel.write_bytes(struct.pack("<IIQQQ24x4sI", 0, 0, 0, 4096, 0b1010, b"ARM\x64", 0) + bytes(64))
    junk.write_bytes(b"junk" * 100)
    names = {"KERNEL": str(kernel), "JUNK": str(junk)}
    monkeypatch.setattr(Door, "write", delegated)
    for short, path in names.items():
        words = tuple(word.replace(short, path) for word in words)
        text = text.replace(short, path)
    assert ccabridge(["run", "--realm", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"ccabridge: error: {text}"), err
    assert err.count("\n") == 1


def test_missing_file_of_a_machine_file__has_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("layers: [boards/vmm.yaml]\nvmm:\n  kernel: nosuch\n")
    assert ccabridge(["run", str(file)]) == 2
    kernel = tmp_path / "nosuch"
    assert capsys.readouterr().err == (
        f"ccabridge: error: {file}:3:11: vmm.kernel: {kernel}: No such file or directory\n"
    )


def test_vmm_with_nothing_to_run__one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("layers: [boards/vmm.yaml]\nboot: {host: vmm}\n")
    assert ccabridge(["run", str(file)]) == 2
    assert f"{file}:2:14: boot.host: vmm: there is nothing for it to run" in capsys.readouterr().err


def test_written_files__are_not_read_ones(tmp_path: Path, image: Path) -> None:
    with pytest.raises(UserError, match=r"would be overwritten: it is vmm\.disks\.0\.file"):
        vmm_of("-d", str(image), "--dump-dtb", str(image))
    with pytest.raises(UserError, match=r"would be overwritten: it is vmm\.dump_dtb"):
        vmm_of("--net-capture", str(tmp_path / "x"), "--dump-dtb", str(tmp_path / "x"))
    with pytest.raises(UserError, match="would be overwritten"):
        vmm_of("-d", f"{image},rw", "-d", str(image))


def test_options__are_declared_once() -> None:
    flags = [flag for option in realm.OPTIONS for flag in option.flags]
    flags += [known.name for known in (*realm.REFUSED, *realm.MEANINGLESS)]
    assert len(set(flags)) == len(flags)
    fields = set(type(vmm_of()).__struct_fields__)
    assert {option.key.split(".")[1] for option in realm.OPTIONS if option.key} == fields - {"symbols"}, (
        "`run --symbols` is for all worlds"
    )


def test_page__is_what_the_declarations_say() -> None:
    stored = vmm_docs.PATH.read_text(encoding="utf-8")
    assert stored == vmm_docs.renewed(stored), "run make docs"
    assert "| `--realm-pv TEXT` | `vmm.personalization` |" in stored
    assert "| `no-memory` | ENOMEM | the host has not enough memory |" in stored


def test_verbs__refuse_what_the_table_says() -> None:
    """Every `VmmError(verb, refusal)` of the sources stands in the table, and every refusal is some verb's."""
    table = {verb.name: {r.name for r in (*verb.refusals, *verb.wrong_state)} for verb in VERBS}
    assert {r.name for r in REFUSALS} == set().union(*table.values())
    names = {r: refusal.name for r, refusal in vars(__import__("machine.vmm.errors", fromlist=["x"])).items()
             if refusal in REFUSALS}  # fmt: skip
    found: set[tuple[str, str]] = set()
    for path in (Path(realm.__file__).parents[2] / "machine/vmm").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "VmmError":
                verb, refusal = node.args[:2]
                word = refusal.attr if isinstance(refusal, ast.Attribute) else getattr(refusal, "id", "")
                if isinstance(verb, ast.Constant) and word in names and verb.value in table:
                    found.add((verb.value, names[word]))
    assert len(found) > 20
    assert not [pair for pair in found if pair[1] not in table[pair[0]]]


def test_features__decoded(capsys: pytest.CaptureFixture[str]) -> None:
    """DEN0137, RmiFeatureRegister0: S2SZ [7:0], SVE_EN [9], SVE_VL [13:10], GICV3_NUM_LRS [37:34]."""
    assert ccabridge(["features", "sve"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("RmiFeatureRegister0 = 0x")
    register = int(out[0].split()[-1], 16)
    assert (register & 0xFF, register >> 9 & 1, register >> 10 & 0xF, register >> 34 & 0xF) == (48, 1, 3, 3)
    assert any("SVE_VL" in line and "512 bits" in line for line in out)
    assert any("GICV3_NUM_LRS" in line and "list registers: 4" in line for line in out)


def test_features__as_json_and_of_the_default_machine(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert ccabridge(["features", "--json", "-s", "rmm.features.sha512=false"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["machine"] == "linux-realm"
    assert shown["fields"]["HASH_SHA_256"] == 1
    assert shown["fields"]["HASH_SHA_512"] == 0
    assert shown["register"] >> 32 & 3 == 1


def test_shipped_machine__is_what_realm_runs() -> None:
    assert load(realm.MACHINE).vmm == vmm_of()

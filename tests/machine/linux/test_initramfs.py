# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs, and the init in it, run against a kernel that the tests play."""

from __future__ import annotations

import gzip
import stat
from pathlib import Path

import pytest

import firmware
from bridge.errors import UserError
from machine.vmm.linux import cpio
from machine.vmm.linux.initramfs import build, exit_status
from machine.vmm.linux.modules import Module
from tests.bridge.elf import elf
from tests.machine.linux.fake_linux import EEXIST, ENODEV, FakeLinux, unpack
from tests.machine.linux.files import module

INIT = firmware.locate("linux-init")
POWER_OFF = ("reboot", 0xFEE1DEAD, 672274793, 0x4321FEDC)
MODULES = tuple(Module(name, module(name), (), "6.1-test") for name in ("configfs", "tsm_report"))


def boot(archive: bytes, **options: object) -> FakeLinux:
    """Runs /init of an initramfs until it switches the power off."""
    files = {f"/{name}": data for name, (mode, data) in unpack(archive).items() if stat.S_ISREG(mode)}
    linux = FakeLinux(files, **options)  # type: ignore[arg-type]
    assert linux.run(INIT, ["/init"]) is None
    assert linux.calls[-1] == POWER_OFF
    # Drained (tcdrain): what the console still holds is lost with the power.
    assert linux.calls[-4:-1] == [("ioctl", 1, 0x5409), ("syslog", 7, 0), ("sync", 0, 0)]
    return linux


def output(script: str, **options: object) -> str:
    """What a script prints, between init's greeting and its last word."""
    console = boot(build(script=script), **options).console.decode()
    first, rest = console.split("\n", 1)
    assert first == "ccabridge-init: Linux 7.2-fake on aarch64"
    return rest


def test_cpio__folders_come_before_what_is_in_them_and_time_is_zero() -> None:
    data = cpio.archive([cpio.file("z/y/x", b"12345"), cpio.symlink("z/a", "y"), cpio.node("dev/console", 5, 1)])
    found = unpack(data)
    assert list(found) == ["dev", "dev/console", "z", "z/a", "z/y", "z/y/x"]
    assert found["z/y/x"] == (0o100644, b"12345")
    assert found["z/a"] == (0o120777, b"y")
    assert found["dev/console"] == (0o020600, b"")
    assert len(data) % 512 == 0
    # Byte for byte, the first entry: inode 1, mode, owner 0:0, 2 links, time 0, no content, device 0, name of 4 bytes.
    assert (
        data[:116]
        == b"070701"
        + b"00000001000041ed"
        + b"0" * 16
        + b"00000002"
        + b"0" * 48
        + b"00000004"
        + b"0" * 8
        + b"dev\0"
        + b"\0\0"
    )
    assert data[116:122] == b"070701"


def test_cpio__order_of_the_entries_makes_no_difference() -> None:
    entries = [cpio.file("b", b"1"), cpio.directory("a"), cpio.file("a/c", b"2")]
    assert cpio.archive(entries) == cpio.archive(entries[::-1])


def test_build__same_arguments_same_bytes() -> None:
    arguments = {"script": "true", "modules": MODULES, "shares": (("host", "/mnt"),)}
    assert build(**arguments) == build(**arguments)  # type: ignore[arg-type]
    packed = build(**arguments, compress=True)  # type: ignore[arg-type]
    assert gzip.decompress(packed) == build(**arguments)  # type: ignore[arg-type]
    assert packed[4:8] == bytes(4)


def test_build__init_is_the_project_s_and_the_console_is_there() -> None:
    found = unpack(build())
    assert found["init"] == (0o100755, INIT.read_bytes())
    assert stat.S_ISCHR(found["dev/console"][0])
    assert "ccabridge/script" not in found


def test_init__is_a_static_program_for_linux() -> None:
    data = INIT.read_bytes()
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    assert data[16:20] == b"\x02\0\xb7\0"
    assert len(data) < 64 << 10


def test_init__mounts_loads_modules_in_order_and_powers_off() -> None:
    linux = boot(build(script="true", modules=MODULES, shares=(("host", "/mnt"),)))
    done = [call for call in linux.calls if call[0] in ("mount", "module")]
    assert done == [
        ("mount", "devtmpfs", "dev", "/dev", ""),
        ("mount", "proc", "proc", "/proc", ""),
        ("mount", "sysfs", "sys", "/sys", ""),
        ("module", "/ccabridge/modules.d/configfs.ko"),
        ("module", "/ccabridge/modules.d/tsm_report.ko"),
        ("mount", "configfs", "config", "/sys/kernel/config", ""),
        ("mount", "9p", "host", "/mnt", "trans=virtio,version=9p2000.L"),
    ]


def test_init__module_that_fails_is_named_one_that_is_there_is_not() -> None:
    paths = [f"/ccabridge/modules.d/{name}.ko" for name in ("configfs", "tsm_report")]
    linux = boot(build(script="true", modules=MODULES), failing_modules={paths[0]: EEXIST, paths[1]: ENODEV})
    assert f"ccabridge-init: module {paths[1]}: ENODEV\n" in linux.console.decode()
    assert paths[0] not in linux.console.decode()


def test_init__what_it_says_is_one_write_a_line_and_the_kernel_is_silent_at_the_last() -> None:
    """syslog(2): 6 keeps messages from the console, 7 lets them through again."""
    linux = boot(build(script="nosuch"))
    lines = [b"ccabridge-init: Linux 7.2-fake on aarch64\n", b"ccabridge-init: run nosuch: ENOENT\n"]
    assert linux.writes == [*lines, b"ccabridge-init: exit 127\n"]
    assert [call for call in linux.calls if call[0] == "syslog"] == [("syslog", 6, 0), ("syslog", 7, 0)]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_init__reads_and_writes_of_any_length(chunk: int) -> None:
    """read(2) and write(2) may do less than they were asked for."""
    assert output("echo hello world; cat /ccabridge/script; exit 7", chunk=chunk) == (
        "hello world\necho hello world; cat /ccabridge/script; exit 7\nccabridge-init: exit 7\n"
    )


@pytest.mark.parametrize(
    ("script", "printed", "status"),
    [
        ("", "", 0),
        ("true", "", 0),
        ("false", "", 1),
        ("false; true", "", 0),
        ("false\n\n# nothing\n", "", 1),
        ("echo a   b\t c", "a b c\n", 0),
        ('echo \'a  b\' "c;d" e"f \'g"', "a  b c;d ef 'g\n", 0),
        ("echo ''x;echo \"\"", "x\n\n", 0),
        ("echo a&&echo b||echo c;echo d", "a\nb\nd\n", 0),
        ("false && echo a || echo b", "b\n", 0),
        ("false && echo a\necho b", "b\n", 0),
        ("true || echo a && echo b", "b\n", 0),
        ("echo a'b'&&echo c", "ab\nc\n", 0),
        ("echo 'a'\necho b # c\necho d#e", "a\nb\nd#e\n", 0),
        ("exit", "", 0),
        ("false; exit", "", 1),
        ("exit 3; echo no", "", 3),
        ("exit 256", "", 0),
        ("exit x", "", 2),
        ("uname", "Linux 7.2-fake aarch64\n", 0),
        ("nosuch", "ccabridge-init: run nosuch: ENOENT\n", 127),
        ("cat /nosuch", "ccabridge-init: cat /nosuch: ENOENT\n", 1),
        ("echo 'a", "ccabridge-init: a quote that does not end, or too many words\n", 2),
        ("echo" + " x" * 70, "ccabridge-init: a quote that does not end, or too many words\n", 2),
    ],
)
def test_init_shell__runs_a_script(script: str, printed: str, status: int) -> None:
    assert output(script) == f"{printed}ccabridge-init: exit {status}\n"


@pytest.mark.parametrize(("state", "status"), [(0, 0), (5 << 8, 5), (9, 137), (11 | 0x80, 139)])
def test_init_shell__status_of_a_program_is_its_own_or_128_and_its_signal(state: int, status: int) -> None:
    assert output("/bin/thing a b", programs={"/bin/thing": state}) == f"ccabridge-init: exit {status}\n"


def test_init__busybox_runs_the_script_after_it_has_installed_itself(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(elf())
    archive = build(script="anything | at all", busybox=busybox)
    assert unpack(archive)["bin/sh"][1] == b"busybox"
    linux = boot(archive, programs={"install": 0, "sh": 4 << 8})
    assert [call for call in linux.calls if call[0] == "run"] == [("run", "install"), ("run", "sh")]
    assert exit_status(bytes(linux.console)) == 4


def test_init_shell__interactive() -> None:
    linux = boot(build(), keyboard=b"echo hi\nfalse\n\nexit\n")
    console = linux.console.decode()
    assert console.endswith("# hi\n# # # ccabridge-init: exit 1\n")
    assert "no busybox" in console


def test_init_shell__end_of_input_ends_it() -> None:
    assert boot(build(), keyboard=b"true\n").console.decode().endswith("# # ccabridge-init: exit 0\n")


def test_init_shell__takes_the_terminal_of_the_console() -> None:
    files = {f"/{name}": data for name, (_, data) in unpack(build()).items()}
    files |= {"/sys/class/tty/console/active": b"tty0 ttyS0\n", "/dev/ttyS0": b""}
    linux = FakeLinux(files, keyboard=b"exit 5\n")
    assert linux.run(INIT, ["/init"]) is None
    assert [call[0] for call in linux.calls if call[0] in ("setsid", "ioctl", "dup3")][:5] == [
        "setsid",
        "ioctl",
        "dup3",
        "dup3",
        "dup3",
    ]
    assert exit_status(bytes(linux.console)) == 5


def test_measure__challenge_goes_in_and_the_token_comes_out() -> None:
    """Linux, Documentation/ABI/testing/configfs-tsm-report."""
    token = bytes(range(70))
    challenge = bytes(range(64))
    linux = boot(build(script=f"measure {challenge.hex()}"), token=token)
    assert ("write", "/sys/kernel/config/tsm/report/ccabridge/inblob", challenge) in linux.calls
    lines = [token[at : at + 32].hex() for at in (0, 32, 64)]
    assert (
        "\n".join(["-----BEGIN CCA TOKEN-----", *lines, "-----END CCA TOKEN-----", "ccabridge-init: exit 0\n"])
        in linux.console.decode()
    )


def test_measure__is_a_program_too_and_writes_a_file() -> None:
    """arm-cca-guest refuses challenges below 32 bytes (EINVAL)."""
    linux = FakeLinux({}, token=b"token")
    assert linux.run(INIT, ["/bin/measure", "Ff00", "/tmp/token"]) == 0
    assert ("write", "/sys/kernel/config/tsm/report/ccabridge/inblob", b"\xff" + bytes(31)) in linux.calls
    assert linux.files["/tmp/token"] == b"token"
    assert linux.console == b""


@pytest.mark.parametrize("words", [["0"], ["0g"], ["00" * 65], [""], ["00", "/f", "x"]])
def test_measure__wrong_challenge_is_usage(words: list[str]) -> None:
    linux = FakeLinux({}, token=b"token")
    assert linux.run(INIT, ["measure", *words]) == 2
    assert linux.console.startswith(b"usage: measure")


def test_measure__without_the_driver() -> None:
    assert "is arm-cca-guest loaded?): ENOENT" in output("measure")


def test_init__not_as_the_first_process() -> None:
    linux = FakeLinux({}, pid=5)
    assert linux.run(INIT, ["/init"]) == 2
    assert linux.calls == []


@pytest.mark.parametrize(
    ("console", "status"),
    [
        (b"", None),
        (b"ccabridge-init: exit 7\r\n", 7),
        (b"noise ccabridge-init: exit 0\n[  1.0] reboot: Power down\r\n", 0),
        (b"ccabridge-init: exit 1\nccabridge-init: exit 2\n", 2),
        (b"ccabridge-init: exit 12", None),
        (b"init: exit 3\n", None),
    ],
)
def test_exit_status__is_the_last_that_init_said(console: bytes, status: int | None) -> None:
    assert exit_status(console) == status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"script": "a\0b"}, "cannot contain a NUL"),
        ({"script": "x" * 70000}, "70000 bytes, at most 65533"),
        ({"shares": (("a b", "/mnt"),)}, "9p tag `a b`"),
        ({"shares": (("tag", "mnt"),)}, "`mnt` is not an absolute path"),
        ({"shares": (("tag", "/m\nt"),)}, "is not an absolute path"),
    ],
)
def test_build__what_init_could_not_do(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build(**arguments)  # type: ignore[arg-type]


def test_build__busybox_for_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "busybox"
    path.write_bytes(elf(machine=62))
    with pytest.raises(UserError, match="not an aarch64 program"):
        build(busybox=path)

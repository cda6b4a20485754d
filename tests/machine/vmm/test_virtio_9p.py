# SPDX-License-Identifier: GPL-2.0-or-later
"""9P2000.L over a host folder, and the ways out of it that there must not be."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import UserError
from machine.vmm.virtio.folder import Folder
from machine.vmm.virtio.ninep import NineP

from .driver import Driver

SECRET = b"outside"


class P9Error(Exception):
    pass


class Client:
    """What Linux's v9fs does, as far as the tests need it."""

    def __init__(self, path: Path, writable: bool = True) -> None:
        self.device = NineP(Folder(str(path), writable=writable), "host")
        self.driver = Driver(self.device)
        self.driver.start()
        self.next = 1
        assert self.rpc(100, struct.pack("<IH", 65536, 8) + b"9P2000.L") == struct.pack("<IH", 65536, 8) + b"9P2000.L"
        self.rpc(104, struct.pack("<II", 0, 0xFFFF_FFFF) + self.s(b"root") + self.s(b"") + bytes(4))

    @staticmethod
    def s(text: bytes) -> bytes:
        return struct.pack("<H", len(text)) + text

    def raw(self, message: bytes, room: int = 8192) -> bytes:
        return self.driver.queues[0].call([message], [room])

    def rpc(self, kind: int, body: bytes, room: int = 8192) -> bytes:
        reply = self.raw(struct.pack("<IBH", 7 + len(body), kind, 5) + body, room)
        size, back, tag = struct.unpack_from("<IBH", reply)
        assert size == len(reply) and tag == 5
        if back == 7:
            raise P9Error(struct.unpack_from("<I", reply, 7)[0])
        assert back == kind + 1
        return reply[7:]

    def walk(self, *names: bytes, start: int = 0) -> int:
        self.next += 1
        body = struct.pack("<IIH", start, self.next, len(names)) + b"".join(self.s(name) for name in names)
        (count,) = struct.unpack_from("<H", self.rpc(110, body))
        if count < len(names):
            raise P9Error(errno.ENOENT)
        return self.next

    def open(self, *names: bytes, flags: int = 0) -> int:
        fid = self.walk(*names)
        self.rpc(12, struct.pack("<II", fid, flags))
        return fid

    def create(self, name: bytes, mode: int = 0o644, at: tuple[bytes, ...] = ()) -> int:
        fid = self.walk(*at)
        self.rpc(14, struct.pack("<I", fid) + self.s(name) + struct.pack("<III", 0o102, mode, 0))
        return fid

    def read(self, fid: int, at: int = 0, count: int = 4096) -> bytes:
        return self.rpc(116, struct.pack("<IQI", fid, at, count))[4:]

    def write(self, fid: int, data: bytes, at: int = 0) -> int:
        return int.from_bytes(self.rpc(118, struct.pack("<IQI", fid, at, len(data)) + data), "little")

    def list(self, *names: bytes, count: int = 4096) -> list[tuple[bytes, int]]:
        fid, at, found = self.open(*names), 0, []
        while data := self.rpc(40, struct.pack("<IQI", fid, at, count))[4:]:
            while data:
                at, kind, size = struct.unpack_from("<QBH", data, 13)
                found.append((data[24 : 24 + size], kind))
                data = data[24 + size :]
        self.clunk(fid)
        return found

    def attributes(self, fid: int) -> tuple[int, ...]:
        """mode, uid, gid, nlink, rdev, size, blksize, blocks, then times of access, change and status"""
        body = self.rpc(24, struct.pack("<IQ", fid, 0x7FF))
        assert len(body) == 8 + 13 + 12 + 15 * 8
        return struct.unpack_from("<III11Q", body, 21)

    def clunk(self, fid: int) -> None:
        self.rpc(120, struct.pack("<I", fid))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    folder = tmp_path / "shared"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "hello.txt").write_bytes(b"hello, realm\n")
    (folder / "sub" / "b").write_bytes(b"b")
    (folder / "sub" / "a").write_bytes(b"a")
    (folder / "out").symlink_to("../secret")
    (folder / "abs").symlink_to(tmp_path)
    (folder / "up").symlink_to("..")
    (folder / "in").symlink_to("sub")
    os.mkfifo(folder / "fifo")
    return folder


@pytest.fixture
def client(root: Path) -> Client:
    return Client(root)


def code(caught: pytest.ExceptionInfo[P9Error]) -> int:
    return int(caught.value.args[0])


def test_config__tag(client: Client) -> None:
    assert client.driver.config(6) == b"\x04\x00host"


def test_read__content_by_offset(client: Client) -> None:
    fid = client.open(b"hello.txt")
    assert client.read(fid) == b"hello, realm\n" and client.read(fid, 7, 5) == b"realm" and client.read(fid, 99) == b""


def test_readdir__by_name_in_any_portion(client: Client) -> None:
    whole = client.list()
    assert [name for name, _ in whole] == [
        b".",
        b"..",
        b"abs",
        b"fifo",
        b"hello.txt",
        b"in",
        b"out",
        b"sub",
        b"up",
    ]
    assert dict(whole)[b"sub"] == 4 and dict(whole)[b"out"] == 10 and dict(whole)[b"hello.txt"] == 8
    assert client.list(count=40) == whole
    assert [name for name, _ in client.list(b"sub")] == [b".", b"..", b"a", b"b", b"deep"]
    with pytest.raises(P9Error) as caught:
        client.list(count=20)
    assert code(caught) == errno.EINVAL


def test_getattr__of_file_and_folder(client: Client, root: Path) -> None:
    os.utime(root / "hello.txt", ns=(5, 1_500_000_000_000_000_007))
    mode, uid, gid, nlink, rdev, size, _, blocks, *times = client.attributes(client.walk(b"hello.txt"))
    assert stat.S_ISREG(mode) and (uid, gid, nlink, rdev, size, blocks) == (0, 0, 1, 0, 13, 1)
    assert times[:4] == [1_500_000_000, 7] * 2, "the time of the last read is the host's business"
    assert stat.S_ISDIR(client.attributes(0)[0])


def test_create_write_rename_link_remove(client: Client, root: Path) -> None:
    fid = client.create(b"new", 0o4750)
    assert client.write(fid, b"some text") == 9 and client.write(fid, b"TEXT", 5) == 4
    assert (root / "new").read_bytes() == b"some TEXT"
    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o750, "no set-user-ID file comes out of a guest"
    client.rpc(50, struct.pack("<II", fid, 0))
    client.rpc(
        74, struct.pack("<I", 0) + client.s(b"new") + struct.pack("<I", client.walk(b"sub")) + client.s(b"moved")
    )
    assert (root / "sub" / "moved").read_bytes() == b"some TEXT" and not (root / "new").exists()
    assert client.attributes(fid)[5] == 9
    other = client.walk(b"sub", b"moved")
    client.rpc(20, struct.pack("<II", client.walk(b"sub", b"moved"), 0) + client.s(b"again"))
    assert client.attributes(other)[5] == 9, "fids follow a rename"
    client.rpc(70, struct.pack("<II", 0, client.walk(b"again")) + client.s(b"linked"))
    assert (root / "linked").stat().st_nlink == 2
    client.rpc(76, struct.pack("<I", 0) + client.s(b"again") + bytes(4))
    assert not (root / "again").exists()
    client.rpc(122, struct.pack("<I", client.walk(b"linked")))
    assert not (root / "linked").exists()


def test_rename__of_a_folder_moves_the_fids_below_it(client: Client) -> None:
    below = client.walk(b"sub", b"a")
    client.rpc(74, struct.pack("<I", 0) + client.s(b"sub") + struct.pack("<I", 0) + client.s(b"bus"))
    client.rpc(12, struct.pack("<II", below, 0))
    assert client.read(below) == b"a"


def test_mkdir_rmdir(client: Client, root: Path) -> None:
    client.rpc(72, struct.pack("<I", 0) + client.s(b"dir") + struct.pack("<II", 0o755, 0))
    assert (root / "dir").is_dir()
    with pytest.raises(P9Error) as caught:
        client.rpc(76, struct.pack("<I", 0) + client.s(b"dir") + bytes(4))
    assert code(caught) == errno.EISDIR
    client.rpc(76, struct.pack("<I", 0) + client.s(b"dir") + struct.pack("<I", 0x200))
    assert not (root / "dir").exists()


def test_setattr__size_mode_times(client: Client, root: Path) -> None:
    def setattr_(
        fid: int, valid: int, mode: int = 0, uid: int = 0, size: int = 0, mtime: tuple[int, int] = (0, 0)
    ) -> None:
        client.rpc(26, struct.pack("<IIIIIQQQQQ", fid, valid, mode, uid, 0, size, 0, 0, *mtime))

    path, fid = root / "hello.txt", client.walk(b"hello.txt")
    setattr_(fid, 1 | 8 | 32 | 256, mode=0o6600, size=5, mtime=(1_000_000_000, 9))
    assert path.read_bytes() == b"hello" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime_ns == 1_000_000_000_000_000_009
    setattr_(fid, 2)
    for valid, extra, why in (
        (2, {"uid": 1000}, errno.EPERM),
        (8, {"size": 1 << 63}, errno.EINVAL),
        (32 | 256, {"mtime": (0, 1 << 40)}, errno.EINVAL),
    ):
        with pytest.raises(P9Error) as caught:
            setattr_(fid, valid, **extra)  # type: ignore[arg-type]
        assert code(caught) == why
    with pytest.raises(P9Error) as caught:
        setattr_(client.walk(b"out"), 8, size=0)
    assert code(caught) == errno.EOPNOTSUPP and (root.parent / "secret").read_bytes() == SECRET


def test_readlink_symlink__text_only(client: Client, root: Path) -> None:
    assert client.rpc(22, struct.pack("<I", client.walk(b"out")))[2:] == b"../secret"
    client.rpc(16, struct.pack("<I", 0) + client.s(b"made") + client.s(b"/etc/passwd") + bytes(4))
    assert os.readlink(root / "made") == "/etc/passwd"


ESCAPES: list[tuple[bytes, ...]] = [
    (b"..",),
    (b"..", b"secret"),
    (b"sub", b"..", b"..", b"secret"),
    (b"up", b"secret"),
    (b"abs", b"secret"),
    (b"in", b"a"),
    (b"../secret",),
    (b"sub/../../secret",),
    (b"/etc/passwd",),
    (b".",),
    (b"",),
    (b"hello.txt\0",),
    (b"hello.txt", b"x"),
    (b"x" * 300,),
]


@pytest.mark.parametrize("names", ESCAPES)
def test_walk__no_way_out(client: Client, names: tuple[bytes, ...]) -> None:
    with pytest.raises(P9Error):
        client.walk(*names)


@pytest.mark.parametrize("name", [b"out", b"abs", b"up", b"in", b"fifo"])
def test_lopen__no_link_nor_pipe(client: Client, name: bytes) -> None:
    for flags in (0, 1, 2, 0o1001):
        with pytest.raises(P9Error) as caught:
            client.open(name, flags=flags)
        assert code(caught) in (errno.ELOOP, errno.EOPNOTSUPP)


@pytest.mark.parametrize("name", [b"..", b"../x", b"/x", b"a/b", b"", b".", b"n\0"])
def test_names__one_component_only(client: Client, root: Path, name: bytes) -> None:
    before = sorted(os.listdir(root.parent)), sorted(os.listdir(root))
    zero, s = struct.pack("<I", 0), client.s
    for kind, body in (
        (14, struct.pack("<I", client.walk()) + s(name) + struct.pack("<III", 0o102, 0o644, 0)),
        (16, zero + s(name) + s(b"t") + bytes(4)),
        (20, struct.pack("<II", client.walk(b"hello.txt"), 0) + s(name)),
        (70, struct.pack("<II", 0, client.walk(b"hello.txt")) + s(name)),
        (72, zero + s(name) + bytes(8)),
        (74, zero + s(name) + zero + s(b"y")),
        (74, zero + s(b"hello.txt") + zero + s(name)),
        (76, zero + s(name) + bytes(4)),
        (76, zero + s(name) + struct.pack("<I", 0x200)),
    ):
        with pytest.raises(P9Error) as caught:
            client.rpc(kind, body)
        assert code(caught) == errno.EINVAL, kind
    assert before == (sorted(os.listdir(root.parent)), sorted(os.listdir(root)))


def test_directory_swapped_for_a_link__not_followed(client: Client, root: Path) -> None:
    """The guest itself replaces a folder that it walked into by a link that leads out."""
    fid = client.walk(b"sub")
    client.rpc(74, struct.pack("<I", 0) + client.s(b"sub") + struct.pack("<I", 0) + client.s(b"gone"))
    below = client.walk(b"gone")
    (root / "gone").rename(root / "kept")
    (root / "gone").symlink_to("..")
    for number in (fid, below):
        with pytest.raises(P9Error):
            client.walk(b"secret", start=number)
        with pytest.raises(P9Error):
            client.rpc(14, struct.pack("<I", number) + client.s(b"x") + struct.pack("<III", 0o102, 0o644, 0))
    assert not (root.parent / "x").exists()


def test_lcreate__over_a_link_leaves_its_target(client: Client, root: Path) -> None:
    for flags in (0o102, 0o1102, 0o302):
        with pytest.raises(P9Error):
            client.rpc(14, struct.pack("<I", client.walk()) + client.s(b"out") + struct.pack("<III", flags, 0o644, 0))
    assert (root.parent / "secret").read_bytes() == SECRET


def test_read_only__erofs_everywhere(root: Path) -> None:
    client = Client(root, writable=False)
    hello, s, zero = client.walk(b"hello.txt"), client.s, struct.pack("<I", 0)
    for kind, body in (
        (12, struct.pack("<II", hello, 1)),
        (12, struct.pack("<II", hello, 0o1000)),
        (14, struct.pack("<I", client.walk()) + s(b"x") + struct.pack("<III", 0o102, 0o644, 0)),
        (16, zero + s(b"x") + s(b"t") + bytes(4)),
        (20, struct.pack("<II", hello, 0) + s(b"x")),
        (26, struct.pack("<IIIIIQQQQQ", hello, 8, 0, 0, 0, 0, 0, 0, 0, 0)),
        (70, struct.pack("<II", 0, hello) + s(b"x")),
        (72, zero + s(b"x") + bytes(8)),
        (74, zero + s(b"hello.txt") + zero + s(b"x")),
        (76, zero + s(b"hello.txt") + bytes(4)),
        (122, struct.pack("<I", client.walk(b"hello.txt"))),
    ):
        with pytest.raises(P9Error) as caught:
            client.rpc(kind, body)
        assert code(caught) == errno.EROFS, kind
    client.rpc(12, struct.pack("<II", hello, 0))
    assert client.read(hello) == b"hello, realm\n"
    with pytest.raises(P9Error) as caught:
        client.write(hello, b"x")
    assert code(caught) == errno.EBADF


def test_xattr_and_unknown__not_supported(client: Client) -> None:
    for kind in (30, 32, 18, 102, 250):
        with pytest.raises(P9Error) as caught:
            client.rpc(kind, struct.pack("<II", 0, 9) + client.s(b"user.x"))
        assert code(caught) == errno.EOPNOTSUPP


def test_fids__unknown_taken_and_bounded(client: Client) -> None:
    with pytest.raises(P9Error) as caught:
        client.clunk(77)
    assert code(caught) == errno.EBADF
    with pytest.raises(P9Error):
        client.rpc(110, struct.pack("<IIH", 0, client.walk(), 0))
    opened = []
    with pytest.raises(P9Error) as caught:
        for _ in range(300):
            opened.append(client.open(b"hello.txt"))
    assert code(caught) == errno.EMFILE and len(opened) == 256
    client.clunk(opened[0])
    client.open(b"hello.txt")
    descriptors = len(os.listdir("/proc/self/fd"))
    client.device.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors - 256 - 1


def test_version__unknown_and_forgets_fids(client: Client) -> None:
    fid = client.open(b"hello.txt")
    assert client.rpc(100, struct.pack("<I", 1 << 30) + client.s(b"9P2000.u")) == struct.pack("<I", 1 << 19) + client.s(
        b"unknown"
    )
    with pytest.raises(P9Error):
        client.read(fid)


def test_statfs_lock_flush(client: Client) -> None:
    assert struct.unpack_from("<I", client.rpc(8, bytes(4)))[0] == 0x01021997
    assert client.rpc(52, struct.pack("<IBIQQI", 0, 1, 0, 0, 0, 1) + client.s(b"me")) == b"\0"
    assert client.rpc(54, struct.pack("<IBQQI", 0, 1, 0, 0, 1) + client.s(b"me"))[0] == 2
    assert client.rpc(108, b"\1\0") == b""


def test_folder__one_line_for_what_is_wrong(root: Path) -> None:
    for name, why in (("none", "No such file"), ("hello.txt", "Not a directory")):
        with pytest.raises(UserError, match=why):
            Folder(str(root / name))


def test_qids__in_the_order_of_sight(root: Path) -> None:
    first = [struct.unpack_from("<BIQ", Client(root).rpc(24, struct.pack("<IQ", 0, 0)), 8)[2] for _ in range(2)]
    assert first == [1, 1], "not the host's inode numbers"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    8,
                    12,
                    14,
                    16,
                    18,
                    20,
                    22,
                    24,
                    26,
                    30,
                    40,
                    50,
                    52,
                    54,
                    70,
                    72,
                    74,
                    76,
                    100,
                    104,
                    110,
                    116,
                    118,
                    120,
                    122,
                ]
            ),
            st.lists(
                st.one_of(
                    st.integers(0, 3).map(lambda n: n.to_bytes(4, "little")),
                    st.sampled_from([b"..", b"out", b"up", b"sub", b"a", b"hello.txt", b"new", b""]).map(Client.s),
                    st.sampled_from([bytes(8), b"\xff" * 8, b"\x02\x00", b"\x01"]),
                ),
                max_size=6,
            ),
        ),
        max_size=12,
    )
)
def test_any_message__an_answer_and_nothing_outside(root: Path, messages: list[tuple[int, list[bytes]]]) -> None:
    client = Client(root)
    client.walk(b"sub")
    for kind, fields in messages:
        body = b"".join(fields)
        reply = client.raw(struct.pack("<IBH", 7 + len(body), kind, 9) + body)
        size, back, tag = struct.unpack_from("<IBH", reply)
        assert size == len(reply) and tag == 9 and back in (7, kind + 1)
    assert not client.driver.broken
    assert (root.parent / "secret").read_bytes() == SECRET and sorted(os.listdir(root.parent)) == ["secret", "shared"]
    client.device.close()

"""Files behind non-volatile memory: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import ConfigError, UserError
from machine.devices.backing import read_backing, write_backing


def test_write__replaces_the_file_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "vars"
    path.write_bytes(b"old content, longer than the new")
    path.chmod(0o640)
    write_backing(str(path), [b"new", memoryview(b"er")])
    assert path.read_bytes() == b"newer" and path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["vars"]


def test_write__through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    write_backing(str(tmp_path / "link"), [b"2"])
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"2"


def test_write__fails_half_way_and_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "vars"
    path.write_bytes(b"precious")

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="vars: not saved: No space left on device"):
        write_backing(str(path), pieces())
    assert path.read_bytes() == b"precious" and os.listdir(tmp_path) == ["vars"]


def test_write__folder_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not saved"):
        write_backing(str(tmp_path / "no" / "vars"), [b"x"])


def test_read__short_missing_large_and_odd(tmp_path: Path) -> None:
    path = tmp_path / "vars"
    path.write_bytes(b"abc")
    assert read_backing(str(path), 3, "m.yaml:1:1", may_miss=False) == b"abc"
    assert read_backing(str(tmp_path / "none"), 3, "m.yaml:1:1", may_miss=True) == b""
    for name, size, message in (
        ("vars", 2, "larger than the 0x2 bytes of the device"),
        ("none", 3, "No such file or directory"),
        (".", 3, "Is a directory"),
        ("/dev/zero", 3, "not a file"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_backing(str(tmp_path / name), size, "m.yaml:1:1", may_miss=False)
        assert str(caught.value).startswith("m.yaml:1:1: ") and str(caught.value).endswith(message)

# SPDX-License-Identifier: GPL-2.0-or-later
"""apt's sources (sources.list(5)), versions (deb-version(7)) and packages (deb(5)) as they are read here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.errors import UserError
from machine.vmm.linux import deb
from machine.vmm.linux.apt import Source, mirrors, paragraphs, parse_sources
from machine.vmm.linux.cache import version_key
from tests.machine.linux.files import deb as make_deb

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
# another
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

types: deb
uris: http://security.example/debian-security
suites: bookworm-security
components: main
signed-by: /usr/share/keyrings/debian.gpg
"""

ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # and a comment
deb-src http://mirror.example/debian bookworm main
deb [ arch=amd64 signed-by=/a.gpg,/b.gpg trusted=yes ] http://other.example/debian trixie main
rubbish
"""


def test_deb822__fields_in_any_case_comments_and_disabled_stanzas() -> None:
    first, second = parse_sources(DEB822, "x.sources")
    assert (first.uris, first.suites) == (("http://mirror.example/debian",), ("bookworm", "bookworm-updates"))
    assert first.components == ("main",)
    assert first.trust["Signed-By"] == "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc"
    assert (second.suites, second.trust) == (("bookworm-security",), {"Signed-By": "/usr/share/keyrings/debian.gpg"})


def test_one_line__options_comments_and_source_packages() -> None:
    first, second = parse_sources(ONE_LINE, "sources.list")
    assert first == Source(("http://mirror.example/debian",), ("bookworm",), ("main", "contrib"), {}, "sources.list")
    assert second.trust == {"Signed-By": "/a.gpg /b.gpg", "Trusted": "yes"}
    assert (first.trusted, second.trusted) == (False, True)


def test_mirrors__those_that_name_the_suite_come_first_and_security_does_not_count() -> None:
    sources = parse_sources(DEB822, "x.sources") + parse_sources(ONE_LINE, "sources.list")
    found = mirrors(sources, "trixie")
    assert [source.uris[0] for source in found] == [
        "http://other.example/debian",
        "http://mirror.example/debian",
        "http://mirror.example/debian",
    ]
    assert {source.suites for source in found} == {("trixie",)}
    assert [bool(source.trust) for source in found] == [True, True, False]


def test_mirrors__an_archive_without_main_is_no_debian_mirror() -> None:
    assert mirrors(parse_sources("deb http://x.example/apt stable free\n", "x.list"), "trixie") == []


def test_paragraphs__folded_fields_and_blank_lines() -> None:
    assert list(paragraphs("A: 1\nB: x\n y\n\n\n \nA: 2\n")) == [{"A": "1", "B": "x\n y"}, {"A": "2"}]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("6.9.1-1", "6.10-1"),
        ("7.2~rc4-1~exp1", "7.2-1"),
        ("7.2.12-1~bpo13+1", "7.2.12-1"),
        ("7.2.12-1", "1:6.1-1"),
        ("6.1.99-1", "6.1.99-1+deb12u1"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+"),
        ("6.12.9-2", "6.12.9-10"),
    ],
)
def test_version__sorts_as_dpkg_does(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_deb__files_by_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(make_deb({"./boot/vmlinuz-1": b"kernel", "./usr/a": b""}, suffix=suffix, links={"./b": "/etc"}))
    assert dict(deb.members(path)) == {"boot/vmlinuz-1": b"kernel", "usr/a": b""}


def test_deb__names_that_lead_out_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(make_deb({"../../evil": b"1", "/abs": b"2", "./ok": b"3"}))
    assert dict(deb.members(path)) == {"abs": b"2", "ok": b"3"}


def test_deb__dpkg_reads_what_the_tests_make(tmp_path: Path) -> None:
    """So that the samples are Debian packages, not only what this project reads."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    import subprocess

    path = tmp_path / "x.deb"
    path.write_bytes(make_deb({"./boot/vmlinuz-1": b"kernel"}))
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(path)], capture_output=True, check=True)
    assert b"./boot/vmlinuz-1" in done.stdout


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\3\4", "not a Debian package"),
        (make_deb({"a": b"x"})[:150], "no whole data.tar"),
        (make_deb({"a": b"x"})[:-30], "no whole data.tar"),
        (make_deb({"a": b"x"}, suffix=".lzo"), "compressed with something unknown"),
        (make_deb({"a": b"x" * 5000}, suffix="").replace(b"ustar", b"-----"), "malformed package"),
    ],
)
def test_deb__wrong_in_one_thing(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    with pytest.raises(UserError, match=said):
        dict(deb.members(path))

# SPDX-License-Identifier: GPL-2.0-or-later
"""fetch-kernel, by the real apt against repositories in a folder: nothing here needs a network."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import cli
from bridge.errors import UserError
from machine.vmm.linux import cache, fetch
from machine.vmm.linux.apt import Package
from machine.vmm.linux.image import read_kernel
from tests.machine.linux.files import deb, image, module, repository

NEW, OLD, FULL = "7.2.12+deb13-cloud-arm64", "6.16.3+deb13-cloud-arm64", "7.2.12+deb13-arm64"
NEW_IMAGE = image(b"new")


def split_kernel(release: str, content: bytes) -> dict[tuple[str, str], bytes]:
    version = release.split("+")[0] + "-1~bpo13+1"
    folder = f"./usr/lib/modules/{release}"
    modules = {f"{folder}/kernel/fs/configfs.ko": module("configfs"), "./usr/share/doc/x": b"text"}
    return {
        (f"linux-binary-{release}", version): deb({f"{folder}/vmlinuz": content}),
        (f"linux-modules-{release}", version): deb(modules),
        (f"linux-image-{release}", version): deb({"./usr/share/doc/y": b""}),
    }


PACKAGES = {
    **split_kernel(NEW, NEW_IMAGE),
    **split_kernel(FULL, image(b"full")),
    (f"linux-image-{OLD}", "6.16.3-1~bpo13+1"): deb(
        {f"./boot/vmlinuz-{OLD}": image(b"old"), f"./usr/lib/modules/{OLD}/kernel/a.ko": module("a")}, suffix=".gz"
    ),
    ("linux-image-rt-arm64", "7.2.12-1~bpo13+1"): deb({}),
    ("linux-binary-7.2.12+deb13-rt-arm64", "7.2.12-1~bpo13+1"): deb({}),
}
BUSYBOX = {("busybox-static", "1:1.37.0-6"): deb({"./usr/bin/busybox": b"\x7fELF busybox"})}

Fetch = Callable[..., tuple[int, str, str]]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fetch:
    """A machine whose apt knows one repository, in a folder, and has an empty cache.  Runs `fetch-kernel`."""
    if shutil.which("apt-get") is None:
        pytest.skip("apt is not installed")
    repository(tmp_path / "debian", "trixie-backports", PACKAGES)
    repository(tmp_path / "debian", "trixie", BUSYBOX)
    sources(tmp_path, trusted="yes")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/none"; Dir::Etc::sourceparts "{tmp_path}/sources.d"; Acquire::Retries "0";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["fetch-kernel", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def sources(tmp_path: Path, *, trusted: str, suite: str = "bookworm", uri: str = "") -> None:
    folder = tmp_path / "sources.d"
    folder.mkdir(exist_ok=True)
    text = f"Types: deb\nURIs: {uri or f'file:{tmp_path}/debian'}\nSuites: {suite}\nComponents: main\n"
    (folder / "test.sources").write_text(f"{text}Trusted: {trusted}\n")


def test_fetch__the_newest_of_the_suite_that_the_configured_mirror_has(apt: Fetch) -> None:
    code, out, err = apt()
    kernel = cache.cached_kernel()
    assert kernel is not None and kernel.modules is None
    assert (code, err) == (0, "")
    assert out == f"{NEW} (7.2.12-1~bpo13+1): {kernel.image}\n"
    assert kernel.image.read_bytes() == NEW_IMAGE
    assert read_kernel(kernel.image).form == "Image"
    about = json.loads((kernel.image.parent / "about.json").read_text())
    assert (about["flavour"], about["suite"], list(about["packages"])) == (
        "cloud",
        "trixie-backports",
        [f"linux-binary-{NEW}"],
    )


def test_fetch__modules_on_request_and_later(apt: Fetch) -> None:
    apt()
    assert apt("--modules")[0] == 0
    kernel = cache.cached_kernel()
    assert kernel is not None and kernel.modules is not None
    assert [p.relative_to(kernel.modules).as_posix() for p in kernel.modules.rglob("*.ko")] == ["kernel/fs/configfs.ko"]


def test_fetch__older_kernels_have_all_in_one_package(apt: Fetch) -> None:
    assert apt("--version", "6.16", "--modules")[0] == 0
    kernel = cache.cached_kernel()
    assert kernel is not None and kernel.modules is not None and kernel.release == OLD
    assert kernel.image.read_bytes() == image(b"old")
    assert (kernel.modules / "kernel" / "a.ko").is_file()


def test_fetch__full_flavour(apt: Fetch) -> None:
    assert apt("--flavour", "full")[0] == 0
    kernel = cache.cached_kernel("full")
    assert kernel is not None and kernel.release == FULL
    assert cache.cached_kernel("cloud") is None


def test_fetch__list_names_kernels_newest_first_and_fetches_none(apt: Fetch) -> None:
    code, out, _ = apt("--list")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, [NEW, OLD])
    assert cache.cached_kernels() == []


def test_fetch__what_is_cached_is_not_fetched_again(apt: Fetch, tmp_path: Path) -> None:
    apt()
    shutil.rmtree(tmp_path / "debian" / "pool")
    assert apt()[0] == 0
    code, _, err = apt("--version", "6.16")
    assert code == 2 and err.count("\n") == 1


def test_fetch__cached_lists_without_apt(apt: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt("--version", "6.16")
    apt("--modules")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = apt("--cached")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, [NEW, OLD])
    assert [line.endswith(" with modules") for line in out.splitlines()] == [True, False]


def test_fetch__busybox_is_the_stable_suites(apt: Fetch) -> None:
    code, out, _ = apt("--busybox")
    path = cache.cached_busybox()
    assert code == 0 and path is not None
    assert f"busybox: {path}\n" in out
    assert path.read_bytes() == b"\x7fELF busybox"
    assert path.stat().st_mode & 0o111


def test_fetch__package_that_is_not_what_the_index_says(apt: Fetch, tmp_path: Path) -> None:
    repository(tmp_path / "debian", "trixie-backports", PACKAGES, wrong=f"linux-binary-{NEW}")
    code, out, err = apt()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Hash" in err or "SHA-256" in err
    assert cache.cached_kernels() == []
    assert list((tmp_path / "cache" / "ccabridge" / "linux" / "kernels").iterdir()) == []


def test_fetch__index_that_is_not_what_the_release_file_says(apt: Fetch, tmp_path: Path) -> None:
    for path in (tmp_path / "debian" / "dists" / "trixie-backports").rglob("Packages*"):
        path.write_bytes(path.read_bytes() + b"\n")
    code, _, err = apt()
    assert (code, err.count("\n")) == (2, 1)


def test_fetch__unsigned_repository_is_refused(apt: Fetch, tmp_path: Path) -> None:
    sources(tmp_path, trusted="no")
    code, out, err = apt()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is not signed" in err


def test_fetch__trusted_source_is_named_with_v(apt: Fetch) -> None:
    assert "the signature was not checked" in apt("-v")[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--version", "5.4"), "has no cloud kernel 5.4; it has 7.2.12, 6.16.3"),
        (("--version", "7.2.1"), "has no cloud kernel 7.2.1; it has"),
        (("--version", ""), "--version: expected one such as 7.2"),
        (("--suite", "nosuch"), "nosuch"),
        (("--suite", "a b"), "not the name of a suite"),
        (("--suite", "../x"), "not the name of a suite"),
        (("--suite", "trixie"), "trixie: has no arm64 kernel of flavour cloud"),
    ],
)
def test_fetch__what_is_not_there_is_one_line(apt: Fetch, words: tuple[str, ...], said: str) -> None:
    code, out, err = apt(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_fetch__no_network_is_one_line(apt: Fetch, tmp_path: Path) -> None:
    sources(tmp_path, trusted="yes", uri="http://127.0.0.1:9/debian")
    code, out, err = apt()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "127.0.0.1" in err


def test_fetch__no_apt_no_mirror_no_cache_are_one_line_each(
    apt: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.d" / "test.sources").unlink()
    assert "names no Debian mirror" in apt()[2]
    sources(tmp_path, trusted="yes")
    (tmp_path / "cache").write_text("a file")
    code, _, err = apt()
    assert (code, err.count("\n")) == (2, 1) and "ccabridge/linux/apt" in err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no `apt-config` on this machine" in apt()[2]


def test_fetch__does_not_touch_the_machines_own_lists(apt: Fetch, tmp_path: Path) -> None:
    """All that apt keeps goes below the cache folder; hooks of the machine's configuration do not run."""
    ran = tmp_path / "ran"
    with (tmp_path / "apt.conf").open("a") as file:
        file.write(f'APT::Update::Post-Invoke {{ "touch {ran}"; }};\nAPT::Update::Pre-Invoke {{ "touch {ran}"; }};\n')
    assert apt()[0] == 0
    assert not ran.exists()
    assert list((tmp_path / "cache").rglob("*_Packages"))
    assert not list((tmp_path / "cache").rglob("*.deb"))


def test_kernels__signed_ones_are_preferred_and_variants_left_out() -> None:
    names = [
        "binary-7.1-cloud-arm64",
        "binary-unsigned-7.1-cloud-arm64",
        "image-7.1-cloud-arm64",
        "modules-7.1-cloud-arm64",
    ]
    names += [
        "binary-unsigned-7.0-arm64",
        "image-6.1.0-9-arm64-unsigned",
        "image-6.1.0-9-cloud-arm64-dbg",
        "image-arm64",
    ]
    names += ["binary-7.1-rt-arm64", "binary-7.1-arm64-16k"]
    found = fetch.kernels(Package(f"linux-{name}", "1", 1, "", "") for name in names)
    assert {(kernel.package.name, kernel.modules.name) for kernel in found} == {
        ("linux-binary-7.1-cloud-arm64", "linux-modules-7.1-cloud-arm64"),
        ("linux-binary-unsigned-7.0-arm64", "linux-binary-unsigned-7.0-arm64"),
        ("linux-image-6.1.0-9-arm64-unsigned", "linux-image-6.1.0-9-arm64-unsigned"),
    }


def test_cache__newest_wins_cloud_before_full_and_rubbish_is_no_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def put(release: str, version: str, flavour: str) -> None:
        folder = cache.kernel_dir(release)
        folder.mkdir(parents=True)
        (folder / "Image").write_bytes(image())
        about = {"release": release, "version": version, "flavour": flavour, "suite": "s"}
        (folder / "about.json").write_text(json.dumps(about))

    put("6.9-cloud-arm64", "6.9-1", "cloud")
    put("6.10-arm64", "6.10-1", "full")
    put("6.10-cloud-arm64", "6.10-1", "cloud")
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"release": 1, "version": 2, "flavour": 3, "suite": 4}')):
        cache.kernel_dir(name).mkdir()
        (cache.kernel_dir(name) / "about.json").write_text(text)
    newest, full = cache.cached_kernel(), cache.cached_kernel("full")
    assert newest is not None and newest.release == "6.10-cloud-arm64"
    assert full is not None and full.release == "6.10-arm64"
    assert len(cache.cached_kernels()) == 3
    assert cache.cached_as(full.image) == full
    assert cache.cached_as(full.image.parent / "about.json") is None
    assert cache.cached_as(tmp_path / "Image") is None


def test_cache__folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    with cache.filling(folder) as fresh:
        (fresh / "a").write_text("1")
    with pytest.raises(UserError), cache.filling(folder) as fresh:
        (fresh / "a").write_text("2")
        raise UserError("no")
    assert (folder / "a").read_text() == "1"
    with cache.filling(folder) as fresh:
        (fresh / "b").write_text("3")
    assert [p.name for p in folder.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


def test_cache__relative_xdg_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG Base Directory Specification: relative paths are invalid."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.cache_dir() == Path.home() / ".cache" / "ccabridge" / "linux"


def test_cached_kernel__is_one_that_a_realm_can_run() -> None:
    """Of the kernel that was really fetched, where one was."""
    kernel = cache.cached_kernel()
    if kernel is None:
        pytest.skip("no kernel is cached: `ccabridge fetch-kernel` fetches one")
    found = read_kernel(kernel.image)
    assert found.release == kernel.release
    assert found.knows_rsi
    assert found.page_size in (4096, 16384, 65536)


def _sign(tmp_path: Path, name: str, suite: str) -> Path:
    """Signs a suite of the test repository with a new key; the keyring with that key."""
    home = tmp_path / f"gnupg-{name}"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    release = tmp_path / "debian" / "dists" / suite / "Release"
    keyring = tmp_path / f"{name}.gpg"
    try:
        subprocess.run([*gpg, "--quick-gen-key", f"{name}@example.org", "ed25519", "sign", "never"], check=True)
        subprocess.run([*gpg, "--output", str(keyring), "--export"], check=True)
        signed = release.with_name("InRelease")
        subprocess.run([*gpg, "--yes", "--output", str(signed), "--clearsign", str(release)], check=True)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return keyring


def test_fetch__signature_is_checked_with_the_keyring_of_the_source(apt: Fetch, tmp_path: Path) -> None:
    if not all(map(shutil.which, ("gpg", "gpgconf"))):
        pytest.skip("gpg is not installed")
    other = _sign(tmp_path, "other", "trixie")
    mine = _sign(tmp_path, "mine", "trixie-backports")
    source = tmp_path / "sources.d" / "test.sources"
    text = source.read_text().replace("Trusted: yes\n", "")
    source.write_text(f"{text}Signed-By: {other}\n")
    code, out, err = apt("-v")
    assert (code, out) == (2, "")
    assert "NO_PUBKEY" in err or "not signed" in err or "verif" in err
    source.write_text(f"{text}Signed-By: {mine}\n")
    code, _, err = apt("-v")
    assert code == 0 and "was not checked" not in err

# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages of another suite or architecture through this machine's own apt.

The mirror, its keys and how to reach it are those of apt's configuration; lists and state are a private folder's.
apt itself checks the chain: signature of InRelease, SHA-256 of Packages, SHA-256 of the package.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import UserError

ARCHITECTURE = "arm64"
# What a source says of how its signature is to be checked goes along with its address.
_TRUST = ("Signed-By", "Trusted", "Check-Valid-Until", "Check-Date")
_ONE_LINE = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)")
_TRUE = frozenset({"yes", "true", "with", "on", "enable", "1"})

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One `deb` source of sources.list(5).  trust: its fields of _TRUST, as written; where: the file."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    trust: Mapping[str, str]
    where: str

    @property
    def trusted(self) -> bool:
        """Whether the source says that signatures need not be checked."""
        return self.trust.get("Trusted", "").strip().lower() in _TRUE


@dataclass(frozen=True, slots=True)
class Package:
    """A stanza of a Packages index, as far as it is used.  size: bytes of the .deb."""

    name: str
    version: str
    size: int
    sha256: str
    description: str


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a deb822 text; a folded field keeps its line breaks."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if last:
                fields[last] += "\n" + line
        else:
            name, colon, value = line.partition(":")
            last = name.strip() if colon else ""
            if last:
                fields[last] = value.strip()
    if fields:
        yield fields


def parse_sources(text: str, where: str) -> list[Source]:
    """The enabled `deb` sources of one file: deb822 when its name ends in `.sources`, else one a line."""
    if where.endswith(".sources"):
        return [source for stanza in paragraphs(text) for source in _stanza(stanza, where)]
    return [source for line in text.splitlines() for source in _line(line, where)]


def _stanza(fields: Mapping[str, str], where: str) -> Iterator[Source]:
    by_name = {name.lower(): value for name, value in fields.items()}

    def words(name: str) -> tuple[str, ...]:
        return tuple(by_name.get(name, "").split())

    if "deb" not in words("types") or by_name.get("enabled", "yes").strip().lower() not in _TRUE:
        return
    trust = {name: by_name[name.lower()] for name in _TRUST if name.lower() in by_name}
    if words("uris") and words("suites"):
        yield Source(words("uris"), words("suites"), words("components"), trust, where)


def _line(line: str, where: str) -> Iterator[Source]:
    match = _ONE_LINE.match(line)
    if match is None:
        return
    options = dict(word.partition("=")[::2] for word in (match["options"] or "").split())
    trust = {name: options[name.lower()].replace(",", " ") for name in _TRUST if name.lower() in options}
    yield Source((match["uri"],), (match["suite"],), tuple(match["components"].split()), trust, where)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise UserError(f"there is no `{name}` on this machine: packages cannot be fetched; give a kernel by its path")
    return path


def configured_sources() -> list[Source]:
    """The sources of this machine's apt configuration, in apt's order."""
    command = [_tool("apt-config"), "shell", "FILE", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"apt-config: {_complaint(done.stderr) or 'failed'}")
    places = dict(re.findall(r"^(FILE|PARTS)='(.*)'$", done.stdout, re.MULTILINE))
    files = [Path(places["FILE"])] if places.get("FILE") else []
    if places.get("PARTS"):
        files += sorted(p for p in Path(places["PARTS"]).glob("*") if p.suffix in (".list", ".sources"))
    sources: list[Source] = []
    for path in files:
        if path.is_file():
            try:
                sources += parse_sources(path.read_text(encoding="utf-8", errors="replace"), str(path))
            except OSError as error:
                raise UserError(f"{path}: {error.strerror}") from None
    return sources


def mirrors(sources: list[Source], suite: str) -> list[Source]:
    """Where `suite` may be: sources that name it first, then the others with its component `main`.

    Archives of another layout than `dists/SUITE` and those of security updates alone do not count.
    """
    exact, other = [], []
    for source in sources:
        if "main" not in source.components:
            continue
        if suite in source.suites:
            exact.append(source)
        elif not all(name.endswith(("-security", "/updates")) for name in source.suites):
            other.append(source)
    chosen: dict[tuple[str, str | None], Source] = {}
    for source in exact + other:
        for uri in source.uris:
            only = Source((uri,), (suite,), ("main",), source.trust, source.where)
            chosen.setdefault((uri.rstrip("/"), source.trust.get("Signed-By")), only)
    return list(chosen.values())


class Apt:
    """apt over one suite of one mirror, with a private folder for its lists and its state."""

    def __init__(self, source: Source, folder: Path, report: Report) -> None:
        """source: one URI, one suite.  folder: kept between runs, so that a broken download goes on."""
        self.source = source
        self._report = report
        key = hashlib.sha256(f"{source.uris[0]} {source.suites[0]}".encode()).hexdigest()[:8]
        if not str(folder).isprintable() or '"' in str(folder):
            raise UserError(f"{folder}: apt cannot work in a folder of that name")
        self._folder = folder / f"{source.suites[0].replace('/', '_')}-{key}"
        for name in ("lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        lines = ["Types: deb", f"URIs: {source.uris[0]}", f"Suites: {source.suites[0]}"]
        lines += [f"Components: {' '.join(source.components)}", f"Architectures: {ARCHITECTURE}"]
        lines += [f"{name}: {value}" for name, value in source.trust.items()]
        (self._folder / "apt.sources").write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = {
            "Dir::State": self._folder,
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": os.devnull,
            "Dir::State::extended_states": os.devnull,
            "Dir::Cache": self._folder / "cache",
            "Dir::Etc::sourcelist": self._folder / "apt.sources",
            "Dir::Etc::sourceparts": os.devnull,
            "Dir::Etc::preferences": os.devnull,
            "Dir::Etc::preferencesparts": os.devnull,
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "APT::Update::Error-Mode": "any",
            # Root's private folder is closed to the user that apt would download as.
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
        }
        # What the machine does after its own updates and downloads has no business here.
        text = "#clear APT::Update;\n#clear APT::Architectures;\n"
        text += "".join(f'{name} "{value}";\n' for name, value in settings.items())
        self._configuration = self._folder / "apt.conf"
        self._configuration.write_text(text, encoding="utf-8")

    def update(self) -> None:
        """Fetches the suite's signed index; UserError says why it cannot be had or must not be trusted."""
        self._run("update")

    def packages(self) -> list[Package]:
        """All packages of the suite, in the order of its index."""
        found: list[Package] = []
        for path in sorted((self._folder / "lists").glob("*_Packages")):
            for stanza in paragraphs(path.read_text(encoding="utf-8", errors="replace")):
                name, version, size = stanza.get("Package"), stanza.get("Version"), stanza.get("Size", "")
                if name and version and size.isdecimal() and "SHA256" in stanza:
                    text = stanza.get("Description", "")
                    found.append(Package(name, version, int(size), stanza["SHA256"], text.split("\n")[0]))
        return found

    def download(self, package: Package, into: Path) -> Path:
        """The .deb of a package, in the folder `into`; it has the size and the SHA-256 of the index."""
        for old in into.glob("*.deb"):
            old.unlink()
        self._run("download", f"{package.name}:{ARCHITECTURE}={package.version}", cwd=into)
        for kept in (self._folder / "cache" / "archives").glob("*.deb"):
            kept.unlink()
        files = list(into.glob("*.deb"))
        if len(files) != 1:
            raise UserError(f"{package.name}: apt-get downloaded {len(files)} files instead of one")
        with files[0].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != package.sha256:
            raise UserError(f"{package.name}: SHA-256 {digest} is not that of the index, {package.sha256}")
        return files[0]

    def _run(self, *words: str, cwd: Path | None = None) -> None:
        command = [_tool("apt-get"), "-q", "-y", "-c", str(self._configuration)]
        reader, writer = os.pipe()
        environ = os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        # Into a file: a pipe could fill up while the other one is read.
        with os.fdopen(reader, encoding="utf-8", errors="replace") as status, tempfile.TemporaryFile() as complaints:
            try:
                process = subprocess.Popen(
                    [*command, "-o", f"APT::Status-Fd={writer}", *words],
                    cwd=cwd,
                    env=environ,
                    pass_fds=(writer,),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                )
            finally:
                os.close(writer)
            try:
                for line in status:
                    # dlstatus:1:20.9905:Retrieving file 2 of 5 (20s remaining)
                    kind, _, rest = line.partition(":")
                    percent = rest.split(":")[1:2]
                    if kind == "dlstatus" and percent:
                        self._report(f"{float(percent[0]):3.0f} %")
                process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            complaints.seek(0)
            said = complaints.read(1 << 20).decode("utf-8", "replace")
        if process.returncode:
            raise UserError(f"{self.source.uris[0]} {self.source.suites[0]}: {_complaint(said)}")


def _complaint(text: str) -> str:
    """The first error that apt printed, or else its first warning."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for mark in ("E: ", "W: "):
        for line in lines:
            if line.startswith(mark):
                return line[len(mark) :].rstrip(".")
    return lines[0] if lines else "apt-get failed and gave no reason"

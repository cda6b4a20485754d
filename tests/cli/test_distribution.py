"""What is declared for the distribution agrees with the tree."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bridge import cli
from bridge.cli import docs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def test_cli_page__is_what_the_parsers_say() -> None:
    assert docs.PATH.read_text(encoding="utf-8") == docs.text(), "run `make docs`"


def test_packages__are_the_folders_with_modules(declared: dict[str, Any]) -> None:
    tops = ("bridge", "rmm", "machine", "firmware")
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for top in tops for path in (ROOT / top).rglob("__init__.py")
    }
    listed = set(declared["tool"]["setuptools"]["packages"])
    mapped = declared["tool"]["setuptools"]["package-dir"]
    assert listed - set(mapped) == found
    assert {name.split(".")[0] for name in listed} == set(tops)


def test_package_data__every_machine_file_and_template_is_matched(declared: dict[str, Any]) -> None:
    data, mapped = declared["tool"]["setuptools"]["package-data"], declared["tool"]["setuptools"]["package-dir"]
    for package in ("machine.configs", "machine.configs.boards", "firmware"):
        folder = ROOT / mapped.get(package, package)
        matched = {path for pattern in data[package] for path in folder.glob(pattern) if path.is_file()}
        wanted = set(folder.glob("*.yaml"))
        if package == "firmware":
            wanted = {p for part in ("sdk", "templates") for p in (folder / part).rglob("*") if p.is_file()}
            wanted = {path for path in wanted if "__pycache__" not in path.parts and path.name != ".gitignore"}
        assert wanted <= matched
    assert (ROOT / "machine" / data["machine"][0]).is_file()


def test_requirements__are_pinned_exactly(declared: dict[str, Any]) -> None:
    project = declared["project"]
    pins = [*declared["build-system"]["requires"], *project["dependencies"]]
    pins += [pin for group in project["optional-dependencies"].values() for pin in group]
    assert all(re.fullmatch(r"[A-Za-z0-9-]+==[0-9][0-9.]*(post[0-9]+)?", pin) for pin in pins), pins
    versions: dict[str, set[str]] = {}
    for pin in pins:
        versions.setdefault(pin.split("==")[0].lower(), set()).add(pin)
    assert all(len(some) == 1 for some in versions.values()), versions


def test_pins_script__prints_what_set_up_installs(declared: dict[str, Any]) -> None:
    script = [sys.executable, str(ROOT / ".ci" / "pins")]
    done = subprocess.run([*script, "runtime", "toolchain"], capture_output=True, text=True, check=True)
    expected = {*declared["project"]["dependencies"], *declared["project"]["optional-dependencies"]["toolchain"]}
    assert set(done.stdout.split()) == expected
    wrong = subprocess.run([*script, "nope"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_version__is_the_changelogs_latest(declared: dict[str, Any]) -> None:
    latest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert latest is not None
    assert latest[1] == declared["project"]["version"] == cli.version()


def test_license__is_the_gpl_2(declared: dict[str, Any]) -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in text.split("Preamble")[0]
    assert "Version 2, June 1991" in text.split("Preamble")[0]
    assert declared["project"]["license"] == "GPL-2.0-or-later"


def test_sources__say_their_license() -> None:
    for top in ("bridge", "rmm", "machine", "firmware"):
        for path in (ROOT / top).rglob("*"):
            if path.suffix not in (".py", ".c", ".h", ".S") or "templates" in path.parts or path.name == "_plugin.c":
                continue  # what `new` writes is the user's, and cffi's output is nobody's
            if path.name != "__init__.py":
                assert "SPDX-License-Identifier: GPL-2.0-or-later" in path.read_text(encoding="utf-8")[:200], path


def test_makefile__help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    named = set(re.findall(r"^\t@echo 'make (\w+)", text, re.MULTILINE))
    assert named == set(phony[1].split()) - {"help", "setup"}


def test_plugin__builds_where_python_came_without_its_headers(tmp_path: Path) -> None:
    folder = ROOT / "bridge" / "plugin_c"
    spec = importlib.util.spec_from_file_location("build_plugin", folder / "build_plugin.py")
    assert spec is not None and spec.loader is not None
    build_plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build_plugin)
    build_plugin.ffibuilder.emit_c_code(str(tmp_path / "module.c"))
    compiler = next(path for path in map(shutil.which, ("cc", "gcc", "clang")) if path)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{folder / 'stable_abi'}"]
    done = subprocess.run(
        [compiler, *flags, "-fsyntax-only", str(tmp_path / "module.c")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

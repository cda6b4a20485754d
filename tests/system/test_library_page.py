# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of docs/library.md do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.transcripts import ROOT

PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python( pytest)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(bool(match[1]), match[2]) for match in BLOCK.finditer(PAGE)]


def test_page__has_examples_of_each_kind() -> None:
    assert [kind for kind, _ in EXAMPLES] == [False, False, False, True]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples__run(number: int, tmp_path: Path) -> None:
    tests, text = EXAMPLES[number]
    file = tmp_path / "test_example.py"
    file.write_text(text, encoding="utf-8")
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if tests else []
    done = subprocess.run(
        [sys.executable, *how, str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if not tests:
        printed = done.stdout.splitlines()
        for wanted in re.findall(r"print\(.*\)\s+# (.*)", text):
            pattern = ".*".join(map(re.escape, wanted.split("...")))
            assert any(re.fullmatch(pattern, line) for line in printed), f"{wanted!r} is not in {printed}"

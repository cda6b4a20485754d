"""Transcripts in the documentation: what stands between the marks is really what the command prints.

    <!-- transcript: run hello-realm -->
        output, indented by four
    <!-- end -->

A command that does not end with 0 has its exit code behind it: `run seeded => 3`.

`python -m tests.system.transcripts` writes them anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

from tests.system.cli import ccabridge

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/payload.md",
    "docs/trace.md",
    "docs/secure-world.md",
    "docs/debugging.md",
    "docs/diagnoses.md",
)
MARK = re.compile(r"(<!-- transcript: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(text: str) -> str:
    """The page with every transcript as the command prints it now; files that one writes are there for the next."""

    def renew(match: re.Match[str]) -> str:
        words, _, code = match[2].partition(" => ")
        result = ccabridge(*shlex.split(words), cwd=Path(folder))
        expected = int(code) if code else words.startswith("trace diff")
        assert result.code == expected, f"{match[2]}: {result.out[-1000:]}{result.err}"
        body = "".join(f"    {line}\n" if line else "\n" for line in result.lines)
        return f"{match[1]}\n{body}\n{match[4]}"

    with tempfile.TemporaryDirectory() as folder:
        return MARK.sub(renew, text)


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Transcripts in the documentation: what stands between the marks is really what the command prints.

    <!-- transcript: run hello-realm -->
        output, indented by four
    <!-- end -->

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
    "docs/snapshots.md",
)
MARK = re.compile(r"(<!-- transcript: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(text: str) -> str:
    """The page with every transcript as the command prints it now, one after the other in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return _renewed(text, Path(folder))


def _renewed(text: str, folder: Path) -> str:
    def renew(match: re.Match[str]) -> str:
        result = ccabridge(*shlex.split(match[2]), cwd=folder)
        assert result.code == 0, f"{match[2]}: {result.out[-1000:]}{result.err}"
        body = "".join(f"    {line}\n" if line else "\n" for line in result.lines)
        return f"{match[1]}\n{body}\n{match[4]}"

    return MARK.sub(renew, text)


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

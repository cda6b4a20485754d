"""Transcripts in the documentation: what stands between the marks is really what the command prints.

    <!-- transcript: run hello-realm -->
        output, indented by four
    <!-- end -->

`exits 1: ` before a command is its exit code, ` > FILE` behind it keeps what it prints for the next one, `$(COMMAND)`
in it is what a command prints.  Between `<!-- file: NAME -->` and `<!-- end -->`, a block of code is a file.

`python -m tests.system.transcripts` writes them anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

from tests.system.cli import Result, ccabridge

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/payload.md",
    "docs/trace.md",
    "docs/secure-world.md",
    "docs/debugging.md",
    "docs/diagnoses.md",
    "docs/snapshots.md",
    "docs/attestation.md",
)
MARK = re.compile(r"(<!-- transcript: (?:exits (\d+): )?([^\n]+?)(?: > (\S+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SUBSTITUTE = re.compile(r"\$\((.+?)\)")
FILE = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```\n<!-- end -->", re.DOTALL)


def renewed(text: str) -> str:
    """The page with every transcript as the command prints it now; files that one writes are there for the next."""

    def run(command: str, code: int = 0) -> Result:
        command = SUBSTITUTE.sub(lambda inner: run(inner[1]).out.strip(), command)
        result = ccabridge(*shlex.split(command), cwd=Path(folder))
        assert result.code == code, f"{command}: {result.code}\n{result.out[-1000:]}{result.err}"
        return result

    def renew(match: re.Match[str]) -> str:
        exits, command, file = match[2] or 0, match[3], match[4]
        result = run(command, int(exits))
        if file is not None:
            (Path(folder) / file).write_text(result.out, encoding="utf-8")
            return match[0]
        body = "".join(f"    {line}\n" if line else "\n" for line in result.lines)
        return f"{match[1]}\n{body}\n{match[6]}"

    with tempfile.TemporaryDirectory() as folder:
        for name, content in FILE.findall(text):
            (Path(folder) / name).write_text(content, encoding="utf-8")
        return MARK.sub(renew, text)


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

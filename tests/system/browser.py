"""Pages opened in a real headless browser, where there is one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_RESULT = re.compile(r'<body[^>]* data-result="([^"]*)"')


def opened(page: Path, *, width: int = 1200, dark: bool = False, extra: tuple[str, ...] = ()) -> str:
    """The document as the browser has it in the end."""
    assert BROWSER is not None
    root = ("--no-sandbox",) if os.getuid() == 0 else ()
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                BROWSER,
                *FLAGS,
                *root,
                scheme,
                f"--user-data-dir={profile}",
                f"--window-size={width},900",
                *extra,
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    return done.stdout


def measured(page: Path, script: str, *, width: int = 1200, dark: bool = False) -> Any:
    """What a function's body returns in a copy of the page that lets it run; the page itself lets no script run."""
    text = page.read_text(encoding="utf-8")
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text, count=1)
    assert free != text
    probe = f"<script>document.body.dataset.result = JSON.stringify((() => {{ {script} }})());</script>"
    copy = page.with_name("probe.html")
    copy.write_text(free.replace("</body>", probe + "</body>"), encoding="utf-8")
    match = _RESULT.search(opened(copy, width=width, dark=dark))
    assert match is not None
    return json.loads(unescape(match[1]))

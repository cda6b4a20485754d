"""Bare programs for tests, from assembly."""

from __future__ import annotations

from pathlib import Path

from firmware import toolchain


def assemble(folder: Path, text: str, at: int) -> Path:
    """An ELF of assembly `text`, preprocessed; its first instruction is the entry point, at address `at`."""
    source, out = folder / "program.S", folder / "program.elf"
    source.write_text(
        f'.global HOST_BASE\nHOST_BASE = {at:#x}\n.section .text.start, "ax"\n.global _start\n_start:\n{text}'
    )
    script = toolchain.sdk_dir() / "host.ld"
    toolchain.run(toolchain.find().cc([f"-Wl,-T,{script}", str(source), "-o", str(out)]))
    return out

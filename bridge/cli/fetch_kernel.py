# SPDX-License-Identifier: GPL-2.0-or-later
"""`ccabridge fetch-kernel`: a Debian arm64 kernel from the mirror that this machine's apt uses, into the cache."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.progress import Progress

HELP = "download a Debian arm64 kernel, to boot it as a realm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from machine.vmm.linux.fetch import FLAVOURS, SUITE

    parser.add_argument("--suite", default=SUITE, help=f"Debian suite; by default {SUITE}")
    parser.add_argument("--flavour", choices=list(FLAVOURS), default="cloud", help="cloud (small, the default) or full")
    parser.add_argument("--version", metavar="X.Y", help="the newest that starts so, e.g. 7.2; by default the newest")
    parser.add_argument("--modules", action="store_true", help="its modules as well")
    parser.add_argument("--busybox", action="store_true", help="a static busybox too, for scripts in the realm")
    parser.add_argument("--list", action="store_true", help="print what the suite has, and fetch nothing")
    parser.add_argument("--cached", action="store_true", help="print what was fetched before, without a network")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is done, to standard error")


def main(args: argparse.Namespace) -> int:
    from bridge.errors import UserError
    from bridge.progress import Progress
    from machine.vmm.linux.cache import cached_kernels
    from machine.vmm.linux.fetch import busybox_suite, choose, fetch_busybox, fetch_kernel, kernels, open_suite

    if args.cached:
        for cached in cached_kernels():
            modules = " with modules" if cached.modules is not None else ""
            print(f"{cached.release:<32} {cached.version:<24} {cached.image}{modules}")
        return 0
    if args.version == "":
        raise UserError("--version: expected one such as 7.2")
    progress = Progress(verbose=args.verbose)
    report = _reporter(progress)
    try:
        apt = open_suite(args.suite, report)
        if apt.source.trusted:
            progress.say(f"{apt.source.where}: marks its mirror as trusted: the signature was not checked")
        found = kernels(apt.packages())
        if args.list:
            progress.clear()
            for kernel in (k for k in found if k.flavour == args.flavour):
                print(f"{kernel.release:<32} {kernel.version:<24} {kernel.package.size / 1e6:6.1f} MB")
            return 0
        kernel = choose(found, args.flavour, args.version, args.suite)
        cached = fetch_kernel(apt, kernel, modules=args.modules, report=report)
        busybox = None
        if args.busybox:
            suite = busybox_suite(args.suite)
            busybox = fetch_busybox(apt if suite == args.suite else open_suite(suite, report), report)
    finally:
        progress.clear()
    print(f"{cached.release} ({cached.version}): {cached.image}")
    if args.modules:
        print(f"modules: {cached.modules}")
    if busybox is not None:
        print(f"busybox: {busybox}")
    return 0


def _reporter(progress: Progress) -> Callable[[str], None]:
    what = ""

    def report(text: str) -> None:
        nonlocal what
        if text.endswith("%"):
            progress.update(f"ccabridge: fetching {what or 'the index'}: {text}")
        else:
            what = text
            progress.say(f"fetching {text}")

    return report

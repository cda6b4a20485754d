# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plugin (docs/library.md): machines as fixtures, and what became of them in the report of a failure.

Every pytest of an environment loads it: nothing of the machine is imported before a test asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from machine.library import Session
    from machine.library.session import Source

SECTION = "ccabridge"
_SESSIONS: pytest.StashKey[list[Session]] = pytest.StashKey()


class MachineFactory(Protocol):
    """Makes a `Session`; its arguments are those of the class."""

    def __call__(
        self,
        source: Source = "hello-realm",
        *,
        overrides: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        host: str = "machine",
        keep: int = ...,
        bound: int = ...,
    ) -> Session: ...


class RealmFactory(Protocol):
    """Makes a `Session` in which a payload is the realm; keywords are keys of the machine file's `realms` entry.

    payload: an ELF by its path, or `firmware:NAME`.  vmm: the Python VMM is the host, not the firmware.
    """

    def __call__(self, payload: str | os.PathLike[str], *, vmm: bool = False, **realm: Any) -> Session: ...


def _sessions(request: pytest.FixtureRequest) -> list[Session]:
    return request.node.stash.setdefault(_SESSIONS, [])  # type: ignore[no-any-return]


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[MachineFactory]:
    """`machine("x.yaml")`: a machine for the time of the test."""
    from machine.library import Session

    own = _sessions(request)
    made: list[Session] = []

    def make(*args: Any, **options: Any) -> Session:
        session = Session(*args, **options)
        own.append(session)
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def realm(machine: MachineFactory) -> RealmFactory:
    """`realm("payload.elf")`: a machine whose realm runs a payload."""

    def make(payload: str | os.PathLike[str], *, vmm: bool = False, **options: Any) -> Session:
        image = os.fspath(payload)
        if not image.startswith("firmware:"):
            image = os.path.abspath(image)
        overrides = ["boot.host=vmm"] if vmm else []
        return machine(overrides=overrides, extra={"realms": [{"name": "payload", **options, "image": image}]})

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed and report.when == "call":
        own: list[Session] = item.stash.get(_SESSIONS, [])
        for number, session in enumerate(own):
            report.sections.append((f"{SECTION}: machine {number}", "\n".join(session.report())))
    return report

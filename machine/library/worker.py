# SPDX-License-Identifier: GPL-2.0-or-later
"""A function that can stand still in its middle while whoever started it goes on: a thread, never two at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Abandoned(BaseException):
    """Nobody wants the rest.  Not an Exception: nothing on the way may take it for a fault of its own."""


class Worker(Generic[T]):
    """Runs `body` up to where that calls `pause`, and from there.

    The engines of a machine want one thread at a time, not always the same: while one side runs the other waits.
    """

    def __init__(self, body: Callable[[], T]) -> None:
        self._body = body
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="ccabridge", daemon=True)
        self._result: T | None = None
        self._error: BaseException | None = None
        self._abandoned = False
        self.done = False

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self._abandoned:
                self._result = self._body()
        except Abandoned:
            self._result = None
        except BaseException as error:  # it is the other side's to deal with
            self._error = error
        finally:
            self.done = True
            self._back.release()

    def resume(self) -> T | None:
        """Goes on; the function's result, or None where it has paused.  What it raises is raised here."""
        if self.done:
            return self._result
        if self._thread.ident is None:
            self._thread.start()
        self._go.release()
        try:
            self._back.acquire()
        except BaseException:  # Ctrl-C, or a test's time limit
            self._abandoned = True
            self._back.acquire()
            raise
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._result

    def pause(self) -> None:
        """Called within the function: hands over until `resume`."""
        self._back.release()
        self._go.acquire()
        self.check()

    def check(self) -> None:
        """Called within the function now and then: ends it when nobody wants the rest."""
        if self._abandoned:
            raise Abandoned

    def close(self) -> None:
        """Ends a function that stands still; one that has not begun does not begin."""
        if self.done or self._thread.ident is None:
            return
        self._abandoned = True
        self._go.release()
        self._back.acquire()

"""Work that goes on while an engine answers already: one thread that does one piece after the other."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable

from mace.errors import BackgroundWarning


class Background:
    """Pieces of work in the order they are given. The thread is there only as long as there is work.

    An error ends its piece of work, is kept in ``errors`` and warned of; it is raised nowhere.
    """

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self._work: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether some work is not done yet."""
        return self._thread is not None

    def add(self, work: Callable[[], None]) -> None:
        """Do this as soon as everything given before is done; nothing happens once closed."""
        with self._changed:
            if self._closed:
                return
            self._work.append(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mace-background", daemon=True)
                self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until there is no work, at most for so long; whether there is none."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def close(self, call_off: Callable[[], None]) -> None:
        """Drop what has not begun, call off what has, and wait for its end."""
        with self._changed:
            self._closed = True
            self._work.clear()
            running = self._thread is not None
        if running:
            call_off()
            self.wait()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._work:
                    self._thread = None
                    self._changed.notify_all()
                    return
                work = self._work.popleft()
            try:
                work()
            except Exception as error:  # noqa: BLE001  (there is nobody here to raise it to)
                if not self._closed:
                    self.errors.append(error)
                    warnings.warn(f"general kernels stay in use: {error}", BackgroundWarning, stacklevel=2)

"""Loading a driver's library ahead of its use, beside what a start imports and reads.

Loading takes some twenty milliseconds outside Python, as long as all that a start imports; and to know which library it will
be takes a quarter of those imports. So what was opened the last time for the same wish is taken for likely, and begun with. It
is loaded only where discovery finds it by itself now and it is unchanged since it was opened: what is noted cannot make mace
load anything else.

While a library is being loaded, no thread can be started and no other library loaded, Python's own extension modules
included: whoever tries waits. So those that a start needs are imported here, and little else.
"""

from __future__ import annotations

import ctypes
import hashlib  # noqa: F401
import json
import mmap  # noqa: F401
import os
import sys
import threading
from typing import Any

import mace.files.paging  # noqa: F401
from mace.files.folders import is_private, read_private, state_folder
from mace.opencl.drivers import Driver, find_drivers

MAX_BYTES = 1 << 16
"""Of the file of notes; a longer one is none of ours."""


if sys.platform != "win32":  # found now: it cannot be found while a library is being loaded
    _dlopen = ctypes.CDLL(None).dlopen  # unlike ctypes.CDLL it lets other threads run
    _dlopen.argtypes, _dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p


def open_library(library: str) -> None:
    """Load a library as drivers are loaded; other threads run meanwhile. What is wrong with it shows when it is used."""
    if library and sys.platform != "win32":
        _dlopen(os.fsencode(library), os.RTLD_LAZY)


class Preloading:
    """A driver library that is being loaded in a thread."""

    def __init__(self, library: str) -> None:
        self.library = library
        # Python waits for it at its end: a driver that is being loaded while the process is taken down crashes it
        self._thread = threading.Thread(target=open_library, args=(library,), name="mace-load")
        self._thread.start()

    def wait(self) -> None:
        """Wait for its end."""
        self._thread.join()


def preload_likely(wish: str | int) -> Preloading | None:
    """Begin to load what was last opened for this wish (:func:`note_opened`), if it is still there as it was."""
    noted = _notes().get(str(wish))
    likely = (driver.library for driver in find_drivers() if _note(driver) == noted) if noted else iter(())
    library = next(likely, None)
    return Preloading(library) if library else None


def note_opened(wish: str | int, driver: Driver) -> None:
    """Note that this driver was opened for this wish and works; where there is no private folder, nothing is noted."""
    from mace.errors import MaceError
    from mace.files.atomic import atomic_write
    from mace.files.folders import make_private

    if make_private(os.path.dirname(_file())):
        try:
            atomic_write(_file(), [json.dumps({**_notes(), str(wish): _note(driver)}).encode()], mode=0o600)
        except MaceError:
            return


def _notes() -> dict[str, Any]:
    """Wish → what was opened for it."""
    if not is_private(os.path.dirname(_file())):
        return {}
    try:
        notes = json.loads(read_private(_file(), MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return notes if isinstance(notes, dict) else {}


def _note(driver: Driver) -> list[Any]:
    return [driver.library, *driver.stamp()]


def _file() -> str:
    return os.path.join(state_folder(), "opened", "drivers.json")

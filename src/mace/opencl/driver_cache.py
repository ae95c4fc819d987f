"""What mace sets for PoCL: a disk cache of this process's own, and one variant of each kernel.

PoCL finds the code of a program, of a binary too, under a hash that the binary itself states, and keeps it on disk for
later processes. A damaged binary so replaces the code of the good one, and of a build from source, for every program of
this user. mace keeps compiled programs itself; so PoCL gets a folder for this process alone, which is removed at its end.
Measured, a start from a binary takes as long either way. Whoever sets ``POCL_CACHE_DIR`` or ``POCL_KERNEL_CACHE`` is obeyed.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

VARIANTS_VARIABLE = "POCL_WORK_GROUP_SPECIALIZATION"
FOLDER_VARIABLE, KEEP_VARIABLE = "POCL_CACHE_DIR", "POCL_KERNEL_CACHE"
LEFT_SECONDS = 24 * 3600.0
"""Age of a folder whose process was killed before it could remove it, from which on others remove it."""
_PREFIX = "mace-pocl-"
_folders: list[str] = []


def one_variant_per_kernel(library: str) -> None:
    """If the driver is PoCL, have it compile each kernel once: for the rest of this process and of those it starts.

    PoCL compiles a kernel for its first launch, for no global offset among other things, and again without knowing that for
    the program's binary, which takes as long. It asks the environment at every launch which of them to use. Measured,
    kernels of mace run as fast either way. Whoever sets the variable is obeyed.
    """
    if "pocl" in os.path.basename(library).lower():
        os.environ.setdefault(VARIANTS_VARIABLE, "0")


@contextmanager
def private_driver_cache(library: str) -> Iterator[None]:
    """Load and wake up a driver within this: if it is PoCL, its cache is then this process's own.

    These settings are as before afterwards, so that child processes take nothing from them.
    """
    if "pocl" not in os.path.basename(library).lower() or FOLDER_VARIABLE in os.environ or KEEP_VARIABLE in os.environ:
        yield
        return
    import tempfile

    try:
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
    except OSError:
        yield
        return
    _remove_left_over(os.path.dirname(folder))
    _folders.append(folder)
    os.environ.update({FOLDER_VARIABLE: folder, KEEP_VARIABLE: "0"})
    try:
        yield
    finally:
        for variable in (FOLDER_VARIABLE, KEEP_VARIABLE):
            os.environ.pop(variable, None)


@atexit.register
def discard_driver_cache() -> None:
    """Remove the folder; to be called before an end that skips Python's own."""
    while _folders:
        import shutil

        shutil.rmtree(_folders.pop(), ignore_errors=True)


def _remove_left_over(place: str) -> None:
    import re
    import shutil
    import time

    name = re.compile(rf"{_PREFIX}\d+-\w+")

    with suppress(OSError):
        for entry in os.scandir(place):
            if name.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)

"""Which OpenCL driver libraries there are on this machine, found by reading small text files and loading nothing.

A driver announces itself with a ``.icd`` file, one line that names its library (OpenCL extension ``cl_khr_icd``). Such
files lie in ``/etc/OpenCL/vendors``, and in the same place under the prefix of a virtual or conda environment. The
files that wheels bring name a path of the machine that built them, so a library that does not exist is looked for by
its name in the ``lib`` folder of the prefix: so a pip-installed Intel CPU runtime is found with nothing configured.

The environment is respected as the usual loaders do: ``OCL_ICD_VENDORS`` (or ``OPENCL_VENDOR_PATH``) replaces the
folders, ``OCL_ICD_FILENAMES`` adds libraries. ``MACE_OPENCL_LIBRARIES`` adds libraries for mace alone, such as a
simulator.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from os.path import basename, dirname, exists, expanduser, isabs, isfile, join, realpath
from typing import NamedTuple

SYSTEM_VENDORS = "/etc/OpenCL/vendors"
EXTRA_LIBRARIES = "MACE_OPENCL_LIBRARIES"


class Driver(NamedTuple):
    """A driver library that may hold OpenCL platforms."""

    library: str
    """What to give to ``dlopen``: an absolute path, a bare name, or nothing for the system's own loader."""
    origin: str
    """The .icd file or environment variable that named it."""

    @property
    def label(self) -> str:
        return self.library or "the system's OpenCL loader"

    def stamp(self) -> tuple[str, int, int]:
        """Path, size in bytes and modification time in nanoseconds: equal stamps mean the same library."""
        path = _resolve(self.library)
        try:
            found = os.stat(path)
        except OSError:
            return path, -1, 0
        return realpath(path), found.st_size, found.st_mtime_ns


SYSTEM_LOADER = Driver("", "system")


def find_drivers() -> tuple[Driver, ...]:
    """Every driver library of this machine, without duplicates, in an order that stays the same from run to run.

    Only Linux has a convention that can be followed by reading files. Elsewhere, where no driver announces itself, and
    when a library that stands in for the loader is preloaded (``oclgrind python …``), it is the system's own loader.
    """
    if sys.platform != "linux" or _loader_is_replaced():
        return (SYSTEM_LOADER,)
    drivers: dict[str, Driver] = {}
    for driver in _candidates():
        drivers.setdefault(realpath(_resolve(driver.library)), driver)
    return tuple(drivers.values()) or (SYSTEM_LOADER,)


def _loader_is_replaced() -> bool:
    preloaded = os.environ.get("LD_PRELOAD", "").lower()
    return "oclgrind" in preloaded or "opencl" in preloaded


def _candidates() -> Iterator[Driver]:
    yield from _listed("OCL_ICD_FILENAMES")
    chosen = os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OPENCL_VENDOR_PATH")
    if chosen:
        yield from _vendors(chosen, None)
    else:
        yield from _vendors(SYSTEM_VENDORS, None)
        for prefix in _prefixes():
            yield from _vendors(join(prefix, "etc/OpenCL/vendors"), prefix)
    yield from _bundled_with_pyopencl()
    yield from _listed(EXTRA_LIBRARIES)


def _listed(variable: str) -> Iterator[Driver]:
    """Libraries that an environment variable lists, separated as in PATH."""
    for name in os.environ.get(variable, "").split(os.pathsep):
        if name.strip():
            yield Driver(name.strip(), variable)


def _vendors(place: str, prefix: str | None) -> Iterator[Driver]:
    """Drivers that a folder of .icd files names; ``place`` may also be one such file, or a library itself."""
    try:
        names = sorted(name for name in os.listdir(place) if name.endswith(".icd"))
    except OSError:
        if place.endswith(".icd"):
            yield from _announced(place, prefix)
        elif isfile(place):
            yield Driver(place, "OCL_ICD_VENDORS")
        return
    for name in names:
        yield from _announced(join(place, name), prefix)


def _announced(file: str, prefix: str | None) -> Iterator[Driver]:
    """The driver that one .icd file names. In a prefix, one that is nowhere to be found is passed over."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as lines:
            library = lines.readline().strip()
    except OSError:
        return
    if not library:
        return
    if not isabs(library):
        beside = join(dirname(file), library)
        yield Driver(beside if exists(beside) else library, file)
    elif prefix is None or exists(library):
        yield Driver(library, file)
    elif exists(moved := join(prefix, "lib", basename(library))):
        yield Driver(moved, file)


def _prefixes() -> Iterator[str]:
    """Roots under which packages install files: this environment's, the user's own, conda's, those of ``sys.path``."""
    roots = [sys.prefix, os.environ.get("CONDA_PREFIX", ""), os.environ.get("PYTHONUSERBASE", "") or "~/.local"]
    for entry in sys.path:
        if basename(entry) in ("site-packages", "dist-packages"):
            roots.append(dirname(dirname(dirname(entry))))
        roots.append(entry)
    return map(expanduser, dict.fromkeys(r for r in roots if r))


def _bundled_with_pyopencl() -> Iterator[Driver]:
    """Drivers that other packages put into pyopencl's folder, where its own loader would find them."""
    spec = PathFinder.find_spec("pyopencl")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield from _vendors(join(folder, ".libs"), None)


def _resolve(library: str) -> str:
    """The path ``dlopen`` most likely finds a bare name at, or the name itself."""
    if not library or "/" in library:
        return library
    machine = f"{platform.machine()}-linux-gnu"
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders += [f"/lib/{machine}", f"/usr/lib/{machine}", "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
    return next((path for folder in folders if folder and exists(path := join(folder, library))), library)

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
from pathlib import Path
from typing import NamedTuple

SYSTEM_VENDORS = Path("/etc/OpenCL/vendors")
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
            found = path.stat()
        except OSError:
            return str(path), -1, 0
        return str(path.resolve()), found.st_size, found.st_mtime_ns


SYSTEM_LOADER = Driver("", "system")


def find_drivers() -> tuple[Driver, ...]:
    """Every driver library of this machine, without duplicates, in an order that stays the same from run to run.

    Only Linux has a convention that can be followed by reading files. Elsewhere, where no driver announces itself, and
    when a library that stands in for the loader is preloaded (``oclgrind python …``), it is the system's own loader.
    """
    if sys.platform != "linux" or _loader_is_replaced():
        return (SYSTEM_LOADER,)
    drivers: dict[Path, Driver] = {}
    for driver in _candidates():
        drivers.setdefault(_resolve(driver.library).resolve(), driver)
    return tuple(drivers.values()) or (SYSTEM_LOADER,)


def _loader_is_replaced() -> bool:
    preloaded = os.environ.get("LD_PRELOAD", "").lower()
    return "oclgrind" in preloaded or "opencl" in preloaded


def _candidates() -> Iterator[Driver]:
    yield from _listed("OCL_ICD_FILENAMES")
    chosen = os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OPENCL_VENDOR_PATH")
    if chosen:
        yield from _vendors(Path(chosen), None)
    else:
        yield from _vendors(SYSTEM_VENDORS, None)
        for prefix in _prefixes():
            yield from _vendors(prefix / "etc/OpenCL/vendors", prefix)
    yield from _bundled_with_pyopencl()
    yield from _listed(EXTRA_LIBRARIES)


def _listed(variable: str) -> Iterator[Driver]:
    """Libraries that an environment variable lists, separated as in PATH."""
    for name in os.environ.get(variable, "").split(os.pathsep):
        if name.strip():
            yield Driver(name.strip(), variable)


def _vendors(place: Path, prefix: Path | None) -> Iterator[Driver]:
    """Drivers that a folder of .icd files names; ``place`` may also be one such file, or a library itself."""
    if place.is_dir():
        for file in sorted(place.glob("*.icd")):
            yield from _announced(file, prefix)
    elif place.suffix == ".icd":
        yield from _announced(place, prefix)
    elif place.exists():
        yield Driver(str(place), "OCL_ICD_VENDORS")


def _announced(file: Path, prefix: Path | None) -> Iterator[Driver]:
    """The driver that one .icd file names. In a prefix, one that is nowhere to be found is passed over."""
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    name = lines[0].strip() if lines else ""
    if not name:
        return
    library = Path(name)
    if not library.is_absolute():
        beside = file.with_name(name)
        yield Driver(str(beside) if beside.exists() else name, str(file))
    elif prefix is None or library.exists():
        yield Driver(name, str(file))
    elif (moved := prefix / "lib" / library.name).exists():
        yield Driver(str(moved), str(file))


def _prefixes() -> Iterator[Path]:
    """Roots under which packages install files: this environment's, the user's own, conda's, those of ``sys.path``."""
    roots = [sys.prefix, os.environ.get("CONDA_PREFIX", ""), os.environ.get("PYTHONUSERBASE", "") or "~/.local"]
    for entry in sys.path:
        path = Path(entry)
        if path.name in ("site-packages", "dist-packages") and len(path.parents) > 2:
            roots.append(str(path.parents[2]))
        roots.append(entry)
    for root in dict.fromkeys(r for r in roots if r):
        try:
            yield Path(root).expanduser()
        except RuntimeError:  # no home folder
            continue


def _bundled_with_pyopencl() -> Iterator[Driver]:
    """Drivers that other packages put into pyopencl's folder, where its own loader would find them."""
    spec = PathFinder.find_spec("pyopencl")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield from _vendors(Path(folder, ".libs"), None)


def _resolve(library: str) -> Path:
    """The path ``dlopen`` most likely finds a bare name at, or the name itself."""
    path = Path(library)
    if not library or "/" in library:
        return path
    machine = f"{platform.machine()}-linux-gnu"
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    folders += [f"/lib/{machine}", f"/usr/lib/{machine}", "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
    return next((p for folder in folders if folder and (p := Path(folder, library)).exists()), path)

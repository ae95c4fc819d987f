"""What each driver library of this machine offers, found out in child processes and kept between runs.

Loading every driver at every start is slow, and a broken one would end the process. So a driver is loaded once in a
child process, and what it said is kept in ``devices.json`` in the user's cache folder for as long as the library, the
processor, the device nodes and the settings that drivers read from the environment stay the same. The file only ever
maps libraries that discovery has found by itself to descriptions; it cannot make mace load anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from typing import Any

from mace.errors import MaceError
from mace.files.folders import cache_folder
from mace.opencl.driver_cache import VARIANTS_VARIABLE
from mace.opencl.drivers import Driver
from mace.opencl.host import cpu_summary, device_nodes
from mace.opencl.probed import Probed
from mace.records import replace

FORMAT = 2
MAX_FILE_BYTES = 4 << 20
FAILURE_KEPT_SECONDS = 24 * 3600.0
"""A driver that failed, or that has a device that does not work, is tried again after this time."""
DRIVER_SETTINGS = (
    *("CL_", "CUDA_VISIBLE", "GALLIUM_", "GPU_", "HIP_", "HSA_", "LD_", "LIBGL_", "LP_"),
    *("MESA_", "OCL", "POCL_", "ROCR_", "RUSTICL_", "VK_", "ZE_"),
)
"""Beginnings of environment variables that change what drivers offer; where they keep caches does not count, nor does what
mace sets itself."""


def probe_all(drivers: Iterable[Driver], *, refresh: bool = False) -> tuple[Probed, ...]:
    """What each driver offers, from the kept records where they still hold, in the drivers' order."""
    drivers = tuple(drivers)
    records = _read()
    facts = _surroundings()
    keys = {driver: _key(driver, facts) for driver in drivers}
    kept = {driver: _recall(driver, records.get(keys[driver])) for driver in drivers}
    known = {driver: found for driver, found in kept.items() if found is not None and not refresh}
    missing = [driver for driver in drivers if driver not in known]
    if missing:
        from mace.opencl.probing import probe

        for driver, found in zip(missing, probe(missing), strict=True):
            before = kept[driver]
            known[driver] = replace(found, vector_limit=before.vector_limit) if before else found
        _write({keys[driver]: known[driver].to_json() for driver in missing if driver.library})
    return tuple(known[driver] for driver in drivers)


def limit_vectors(driver: Driver, vector_width: int) -> None:
    """Remember that this driver's compiler dies of vectors wider than so many float32 lanes."""
    (probed,) = probe_all([driver])
    if driver.library and (probed.vector_limit == 0 or vector_width < probed.vector_limit):
        _write({key_of(driver): replace(probed, vector_limit=vector_width).to_json()})


def forget() -> None:
    """Drop every kept record, so that all drivers are asked anew."""
    try:
        os.unlink(_file())
    except OSError:
        return


def key_of(driver: Driver) -> str:
    """Name of a driver's record: changes with anything that may change what the driver offers."""
    return _key(driver, _surroundings())


def _counts(variable: str) -> bool:
    return variable.startswith(DRIVER_SETTINGS) and "CACHE" not in variable and variable != VARIANTS_VARIABLE


def _surroundings() -> list[Any]:
    settings = sorted((k, v) for k, v in os.environ.items() if _counts(k))
    return [settings, cpu_summary(), device_nodes()]


def _key(driver: Driver, surroundings: list[Any]) -> str:
    return hashlib.sha256(json.dumps([FORMAT, driver.library, driver.stamp(), *surroundings]).encode()).hexdigest()


def _recall(driver: Driver, record: Any) -> Probed | None:
    """The kept answer, if it is one and still counts."""
    if not driver.library or record is None:
        return None
    try:
        probed = Probed.from_json(driver, record)
    except (ValueError, TypeError, KeyError):
        return None
    well = probed.status == "ok" and not probed.faults
    fresh = well or 0 <= time.time() - probed.probed_at < FAILURE_KEPT_SECONDS
    return probed if fresh else None


def _file() -> str:
    return os.path.join(cache_folder(), "devices.json")


def _read() -> dict[str, Any]:
    try:
        with open(_file(), "rb") as file:
            data = json.loads(file.read(MAX_FILE_BYTES))
        drivers = data["drivers"] if data["format"] == FORMAT else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return drivers if isinstance(drivers, dict) else {}


def _write(records: dict[str, Any]) -> None:
    """Keep the records; a folder that cannot be written only means asking again next time."""
    from mace.files.atomic import atomic_write

    text = json.dumps({"format": FORMAT, "drivers": {**_read(), **records}}, indent=1)
    if len(text) > MAX_FILE_BYTES // 2:
        text = json.dumps({"format": FORMAT, "drivers": records}, indent=1)
    try:
        os.makedirs(cache_folder(), exist_ok=True)
        atomic_write(_file(), [text.encode()])
    except (OSError, MaceError):
        return

"""What ``mace devices`` shows, as plain data."""

from __future__ import annotations

from typing import Any

from mace.errors import NoDeviceError
from mace.opencl.catalog import probe_all
from mace.opencl.device import Device
from mace.opencl.discovery import INSTALL_HINT, choose_device, devices_of
from mace.opencl.drivers import find_drivers
from mace.opencl.traits import is_simulator, is_software_renderer

EXTENSIONS_THAT_MATTER = (
    "cl_khr_fp16",
    "cl_khr_fp64",
    "cl_khr_integer_dot_product",
    "cl_khr_subgroups",
    "cl_intel_subgroups",
    "cl_khr_il_program",
    "cl_khr_command_buffer",
    "cl_khr_image2d_from_buffer",
    "cl_qcom_ml_ops",
    "cl_arm_integer_dot_product_int8",
    "cl_arm_import_memory",
)


def list_devices(*, refresh: bool = True) -> dict[str, Any]:
    """Devices, drivers that could not be used with the reason, and what to install where there is no device.

    ``devices``: one record each, in the order of their numbers. ``drivers``: one record per library that was found.
    ``hint``: empty, or what to install. ``refresh`` asks every driver anew.
    """
    probed = probe_all(find_drivers(), refresh=refresh)
    devices = devices_of(probed)
    try:
        default = choose_device("auto", devices)
    except NoDeviceError:
        default = None
    return {
        "devices": [{**device_record(d), "default": d is default} for d in devices],
        "drivers": [
            {
                "library": p.driver.label,
                "named_by": p.driver.origin,
                "status": p.status if any(p.platforms) or p.status != "ok" else "no device",
                "reason": p.reason,
            }
            for p in probed
        ],
        "hint": "" if devices else INSTALL_HINT,
    }


def device_record(device: Device) -> dict[str, Any]:
    """One device as JSON data. Memory sizes are in bytes."""
    info, traits = device.info, device.traits
    note = "simulator" if is_simulator(info) else "runs on the processor" if is_software_renderer(info) else ""
    return {
        "number": device.number,
        "kind": traits.kind,
        "platform": info.platform_name,
        "platform_version": info.platform_version,
        "device": info.name,
        "vendor": info.vendor,
        "driver_version": info.driver_version,
        "opencl_version": info.version,
        "opencl_c_version": info.c_version,
        "compute_units": traits.compute_units,
        "global_memory": traits.global_memory,
        "max_allocation": traits.max_allocation,
        "local_memory": traits.local_memory,
        "max_work_group": traits.max_work_group,
        "vector_width": traits.vector_width,
        "fp16": traits.fp16,
        "fp64": traits.fp64,
        "images": traits.images,
        "extensions": [e for e in EXTENSIONS_THAT_MATTER if e in info.extensions],
        "family": traits.family,
        "library": device.driver.label,
        "note": device.fault or note,
        "works": not device.fault,
        "identity": device.identity.digest,
    }

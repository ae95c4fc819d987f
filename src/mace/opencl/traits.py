"""From a driver's words to what lowering and tuning need to know: kind, family, vector width."""

from __future__ import annotations

from mace.device import DeviceIdentity, DeviceKind, DeviceTraits
from mace.opencl.describe import DeviceInfo
from mace.opencl.host import cpu_summary, operating_system
from mace.version import __version__

CPU, GPU, ACCELERATOR = 2, 4, 8
MIN_VECTOR, MAX_VECTOR = 4, 16
SIMULATORS = ("oclgrind",)
SOFTWARE_RENDERERS = ("llvmpipe", "lavapipe", "softpipe", "swrast", "swiftshader")
_GPU_FAMILIES = (  # text in device, vendor or platform → family; the first that fits
    ("mali", "mali"),
    ("immortalis", "mali"),
    ("adreno", "adreno"),
    ("powervr", "powervr"),
    ("videocore", "videocore"),
    ("v3d", "videocore"),
    ("nvidia", "nvidia"),
    ("apple", "apple"),
    ("advanced micro devices", "amd"),
    ("amd", "amd"),
    ("radeon", "amd"),
    ("intel", "intel-gpu"),
)


def is_simulator(info: DeviceInfo) -> bool:
    """Whether the device interprets kernels to check them."""
    return any(name in info.platform_name.lower() for name in SIMULATORS)


def is_software_renderer(info: DeviceInfo) -> bool:
    """Whether the device is a graphics stack running on the processor."""
    return any(name in info.name.lower() for name in SOFTWARE_RENDERERS)


def kind_of(info: DeviceInfo) -> DeviceKind:
    """What does the work in truth: a renderer on the processor counts as a CPU, whatever it calls itself."""
    if is_simulator(info):
        return "other"
    if is_software_renderer(info) or info.type & CPU:
        return "cpu"
    if info.type & GPU:
        return "gpu"
    return "accelerator" if info.type & ACCELERATOR else "other"


def family_of(info: DeviceInfo) -> str:
    """Coarse family that default tunings are kept under."""
    if is_simulator(info):
        return "simulator"
    if is_software_renderer(info):
        return "llvmpipe"
    kind = kind_of(info)
    platform = f"{info.platform_name} {info.platform_version}".lower()
    if kind == "cpu":
        if "pocl" in platform:
            return "pocl-cpu"
        return "intel-cpu" if "intel" in platform else "cpu"
    text = f"{info.name} {info.vendor} {platform}".lower()
    return next((family for word, family in _GPU_FAMILIES if word in text), kind)


def vector_width_of(info: DeviceInfo) -> int:
    """float32 lanes of the widest vector worth using.

    A CPU's driver says how wide its registers are. GPUs work on one lane per work-item and load four at once; so do
    renderers, which spread work-items over the lanes themselves.
    """
    if kind_of(info) != "cpu" or is_software_renderer(info):
        return MIN_VECTOR
    width = MIN_VECTOR
    while width * 2 <= min(info.native_vector_float, MAX_VECTOR):
        width *= 2
    return width


def identity_of(info: DeviceInfo) -> DeviceIdentity:
    """What a binary made for this device depends on. A CPU's binary depends on the very processor."""
    return DeviceIdentity(
        platform_name=info.platform_name,
        platform_version=info.platform_version,
        device_name=info.name,
        device_version=info.version,
        driver_version=info.driver_version,
        vendor_id=info.vendor_id,
        architecture=cpu_summary() if kind_of(info) != "gpu" else cpu_summary().partition("-")[0],
        os=operating_system(),
        engine_version=__version__,
    )


def traits_of(info: DeviceInfo) -> DeviceTraits:
    """What kernels suit the device; limits that a driver does not state get the least the standard allows."""
    extensions = frozenset(info.extensions)
    kind = kind_of(info)
    sizes = tuple(info.max_work_item_sizes[:3]) or (1, 1, 1)
    return DeviceTraits(
        kind=kind,
        vector_width=vector_width_of(info),
        compute_units=max(1, info.compute_units),
        max_work_group=max(1, info.max_work_group),
        max_work_item_sizes=sizes,
        local_memory=info.local_memory,
        global_memory=info.global_memory,
        max_allocation=info.max_allocation or info.global_memory // 4,
        alignment=max(1, info.alignment),
        host_unified_memory=info.host_unified_memory,
        fp16="cl_khr_fp16" in extensions,
        fp64="cl_khr_fp64" in extensions or info.double_config != 0,
        images=info.images,
        image_max=info.image_max,
        subgroups=not extensions.isdisjoint({"cl_khr_subgroups", "cl_intel_subgroups"}),
        integer_dot="cl_khr_integer_dot_product" in extensions and info.version.startswith("OpenCL 3"),
        family=family_of(info),
    )

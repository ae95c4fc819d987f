"""From a driver's words to kind, family, vector width, identity and traits."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mace.opencl.describe import DeviceInfo
from mace.opencl.traits import family_of, identity_of, kind_of, traits_of, vector_width_of

MakeInfo = Callable[..., DeviceInfo]


@pytest.mark.parametrize(
    ("fields", "kind", "family", "width"),
    [
        ({"platform_name": "Intel(R) OpenCL", "native_vector_float": 16}, "cpu", "intel-cpu", 16),
        (
            {
                "platform_name": "Portable Computing Language",
                "platform_version": "OpenCL 3.0 PoCL 3.1",
                "native_vector_float": 4,
            },
            "cpu",
            "pocl-cpu",
            4,
        ),
        ({"name": "llvmpipe (LLVM 15.0.6, 256 bits)", "native_vector_float": 1}, "cpu", "llvmpipe", 4),
        ({"name": "llvmpipe (LLVM 19)", "type": 4}, "cpu", "llvmpipe", 4),
        ({"platform_name": "Oclgrind", "type": 15}, "other", "simulator", 4),
        ({"name": "Mali-G78", "vendor": "ARM", "type": 4}, "gpu", "mali", 4),
        ({"name": "QUALCOMM Adreno(TM)", "vendor": "QUALCOMM", "type": 4}, "gpu", "adreno", 4),
        ({"name": "NVIDIA H200", "vendor": "NVIDIA Corporation", "type": 4}, "gpu", "nvidia", 4),
        ({"name": "gfx1100", "vendor": "Advanced Micro Devices, Inc.", "type": 4}, "gpu", "amd", 4),
        ({"name": "Intel(R) Iris(R) Xe Graphics", "vendor": "Intel(R) Corporation", "type": 4}, "gpu", "intel-gpu", 4),
        ({"name": "Something", "type": 4}, "gpu", "gpu", 4),
        ({"name": "Something", "type": 8}, "accelerator", "accelerator", 4),
        ({"native_vector_float": 0}, "cpu", "cpu", 4),
        ({"native_vector_float": 64}, "cpu", "cpu", 16),
        ({"native_vector_float": 12}, "cpu", "cpu", 8),
    ],
)
def test_kind_family_and_width(
    make_info: MakeInfo, fields: dict[str, object], kind: str, family: str, width: int
) -> None:
    """Known makers are recognised, software counts as a processor, and vector widths stay within 4 and 16."""
    info = make_info(**fields)
    assert (kind_of(info), family_of(info), vector_width_of(info)) == (kind, family, width)


def test_traits_follow_extensions_and_limits(make_info: MakeInfo) -> None:
    """Optional features are promised only where the driver names them, and missing limits get safe values."""
    traits = traits_of(make_info(double_config=63, max_allocation=0, alignment=0, max_work_item_sizes=()))
    assert traits.fp16
    assert traits.fp64
    assert not traits.subgroups
    assert not traits.integer_dot
    assert traits.max_allocation == (1 << 30) // 4
    assert traits.alignment == 1
    assert traits.max_work_item_sizes == (1, 1, 1)
    assert traits.narrowed(4).vector_width == 4
    assert traits.narrowed(16).vector_width == 8


def test_identity_differs_with_the_driver(make_info: MakeInfo) -> None:
    """Another driver version is another identity; the same description gives the same one."""
    one, again, other = (identity_of(make_info(driver_version=v)) for v in ("1.0", "1.0", "1.1"))
    assert one == again
    assert one.differences(other) == {"driver_version": ("1.0", "1.1")}


def test_a_gpus_identity_does_not_depend_on_the_processor_model(make_info: MakeInfo) -> None:
    """A GPU's binary fits behind any processor of the same instruction set; a CPU's only on its own make."""
    assert "-" not in identity_of(make_info(type=4)).architecture
    assert "-" in identity_of(make_info(type=2)).architecture


def test_a_description_survives_json(make_info: MakeInfo) -> None:
    """What is kept on disk reads back equal, and a record with a wrong field is refused by its name."""
    info = make_info()
    data = json.loads(json.dumps(info.to_json()))
    assert DeviceInfo.from_json(data) == info
    for name, wrong in (("compute_units", "4"), ("extensions", [1]), ("images", 1), ("name", None)):
        with pytest.raises(ValueError, match=name):
            DeviceInfo.from_json({**data, name: wrong})

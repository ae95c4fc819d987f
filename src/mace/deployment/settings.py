"""How a deployment file wants a model to be run, as plain data that may travel to measuring processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

STORAGES: dict[str, Literal["fp32", "fp16", "bf16"]] = {
    "": "fp32",
    "fp32_fp32": "fp32",
    "fp16_fp32": "fp16",
    "fp16_fp16": "fp16",
    "bf16_fp32": "bf16",
}
"""``data_type`` → how float32 tensors lie in memory."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What keys of a deployment file set of an engine: ``data_type`` as ``storage``, ``winograd``,
    ``opencl_queue_window_size`` as ``queue_window``, ``limit_opencl_kernel_time`` as ``limit_kernel_time``.
    """

    storage: Literal["fp32", "fp16", "bf16"] = "fp32"
    winograd: int = 4
    queue_window: int = 0
    limit_kernel_time: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSettings:
        return cls(**data)

    def words(self) -> list[str]:
        """What differs from the usual, each in a few words for a person."""
        usual = RunSettings()
        return [
            *([f"tensors stored in {self.storage}"] if self.storage != usual.storage else []),
            *([self._winograd_words()] if self.winograd != usual.winograd else []),
            *([f"{self.queue_window} launches in the queue at a time"] if self.queue_window else []),
            *(["a wait after every launch"] if self.limit_kernel_time else []),
        ]

    def _winograd_words(self) -> str:
        return f"Winograd tiles of {self.winograd} at most" if self.winograd else "no Winograd convolution"

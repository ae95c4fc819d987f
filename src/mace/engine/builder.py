"""``GPUContextBuilder``: MACE's way to say where compiled programs are kept and found, for engines that share a device.

Named after upstream's ``mace::GPUContextBuilder`` (``mace/public/mace.h``); a thin face over :class:`EngineSettings`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

from mace.engine.engine import MaceEngine
from mace.engine.settings import EngineSettings
from mace.opencl import Device, select_device
from mace.opencl.context import Context
from mace.program.library import ProgramSource
from mace.program.reuse import ReusePolicy


@dataclass(frozen=True, slots=True)
class GPUContext:
    """An opened device with its settings. Engines made from it share memory, queue and settings."""

    context: Context
    settings: EngineSettings

    @property
    def device(self) -> Device:
        return self.context.device

    def engine(self, model: str | os.PathLike[str]) -> MaceEngine:
        """An engine for a ``.mace`` file on this context. Raises as :func:`mace.load` does."""
        return MaceEngine(model, settings=self.settings, context=self.context)


class GPUContextBuilder:
    """Collects settings, then opens the device::

    context = GPUContextBuilder().set_storage_path("storage").set_opencl_binary_paths(["a.bin"]).finalize()
    engine = context.engine("model.mace")
    """

    def __init__(self, device: str | int | Device = "gpu") -> None:
        self._device = device
        self._settings = EngineSettings()
        self._paths: tuple[ProgramSource, ...] = ()
        self._bytes: tuple[ProgramSource, ...] = ()

    def set_storage_path(self, path: str | os.PathLike[str] | Literal[False]) -> GPUContextBuilder:
        """Writable folder for compiled programs (``SetStoragePath``); False keeps nothing on disk."""
        self._settings = replace(self._settings, storage=path)
        return self

    def set_opencl_binary_paths(self, paths: list[str | os.PathLike[str]]) -> GPUContextBuilder:
        """Read-only program files, searched in order; the first that fits is used (``SetOpenCLBinaryPaths``)."""
        self._paths = tuple(paths)
        return self

    def set_opencl_binary(self, data: bytes | memoryview) -> GPUContextBuilder:
        """A program file's bytes, looked at after all paths (``SetOpenCLBinary``)."""
        self._bytes = (data,)
        return self

    def set_opencl_parameter_path(self, path: str | os.PathLike[str]) -> GPUContextBuilder:
        """File of tuned parameters (``SetOpenCLParameterPath``)."""
        self._settings = replace(self._settings, parameters=path)
        return self

    def set_opencl_cache_reuse_policy(self, policy: ReusePolicy) -> GPUContextBuilder:
        """Which devices' programs may be loaded: ``none``, ``exact`` or ``same-gpu`` (``SetOpenCLCacheReusePolicy``)."""
        self._settings = replace(self._settings, reuse=policy)
        return self

    def set_warm_up(self, warm_up: Literal["background"] | None) -> GPUContextBuilder:
        """Whether general kernels answer while specialised ones are built, see :func:`mace.load`."""
        self._settings = replace(self._settings, warm_up=warm_up)
        return self

    def finalize(self) -> GPUContext:
        """Open the device. Raises ``NoDeviceError`` when there is none that fits (``Finalize``)."""
        settings = replace(self._settings, programs=(*self._paths, *self._bytes))
        return GPUContext(Context(select_device(self._device), **settings.wishes), settings)

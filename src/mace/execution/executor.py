"""Plays a plan: everything prepared once, then each run writes inputs, launches, and reads outputs."""

from __future__ import annotations

import threading
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mace.errors import MaceError, OpenCLError
from mace.execution.transfers import Transfers
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Argument, LocalMemory, Program
from mace.opencl.kernel import Launch as DeviceLaunch
from mace.plan.plan import NOTHING, HostStep, Launch, LaunchArg, LocalArg, Place, Plan, Pool, Region, ScalarArg
from mace.tensor import Array

if TYPE_CHECKING:
    from mace.execution.host import HostRunner


class _Batch(NamedTuple):
    """Launches with no host step between them."""

    launches: list[DeviceLaunch]


class Executor:
    """A plan with its kernels, memory and arguments in place. Runs are serialised: one arena serves one run at a time."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        programs: Sequence[Program],
        constants: Array | memoryview,
        *,
        window: int = 0,
    ) -> None:
        """``programs`` is parallel to ``plan.units``; ``constants`` are the packed bytes that the plan's regions index.

        ``window`` is what ``Context.run`` takes.
        """
        self.plan = plan
        self._window = window
        self._context = context
        self._lock = threading.Lock()
        self._under_way = False
        """Whether the last run returned before the device was done."""
        self._host: HostRunner | None = None
        self._pools: dict[Pool, Buffer | None] = {
            "arena": context.allocate(plan.arena_bytes) if plan.arena_bytes else None,
            "constants": context.constant(constants) if plan.constants_bytes else None,
            "counters": context.allocate(plan.counters_bytes, zero=True) if plan.counters_bytes else None,
        }
        self._host_constants = _host_arrays(plan) if plan.host_values else {}
        self._images: dict[Region, Buffer] = {}
        self._batches = self._prepare(programs)
        launches = [launch for b in self._batches if isinstance(b, _Batch) for launch in b.launches]
        self._transfers = Transfers(context, self._buffer, launches)

    def run(
        self,
        feeds: Mapping[str, Any],
        *,
        resident: Container[str] = (),
        into: Mapping[str, Array] = NOTHING,
    ) -> dict[str, Any]:
        """Outputs by name: each an array of its own, the array given for it in ``into``, or for the names in ``resident`` a
        :class:`~mace.execution.device_tensor.DeviceTensor`.

        ``feeds`` and ``into`` were checked: arrays are contiguous and of the right type, tensors are of this context. A run
        from tensors to tensors returns before the device is done; any other waits once.
        """
        with self._lock, self._context.lock:
            transfers = self._transfers
            values: dict[str, Any] = dict(self._host_constants)
            results: dict[str, Any] = {}
            done = False
            try:
                for place in self.plan.inputs:
                    if place.region is None:
                        values[place.name] = feeds[place.name]
                    else:
                        transfers.put(place, feeds[place.name])
                for place in self.plan.outputs:
                    if place.region is not None:
                        make = transfers.resident if place.name in resident else None
                        results[place.name] = make(place) if make else transfers.result(place, into.get(place.name))
                for batch in self._batches:
                    if isinstance(batch, _Batch):
                        self._context.run(batch.launches, window=self._window)
                    else:
                        self._run_host(batch, values)
                for place in self.plan.outputs:
                    if place.region is not None:
                        transfers.collect(place, results[place.name])
                transfers.show()
                done = True
            finally:
                # Transfers may be under way from and to memory that the caller has again, or that is given up, now.
                self._under_way = done and not transfers.host_waits
                try:
                    if self._under_way:
                        self._context.flush()
                    else:
                        self._context.finish()
                finally:
                    transfers.settle()
            return {p.name: values[p.name] if p.region is None else results[p.name] for p in self.plan.outputs}

    def __del__(self) -> None:
        if getattr(self, "_under_way", False):  # with the memory that the device still works on
            with suppress(MaceError):
                self._context.finish()

    def launches(self) -> list[tuple[Launch, DeviceLaunch]]:
        """Each launch of the plan with the prepared one, in order: for profiling and tuning."""
        prepared = (launch for b in self._batches if isinstance(b, _Batch) for launch in b.launches)
        return list(zip(self.plan.launches, prepared, strict=True))

    def finish(self) -> None:
        """Wait until the device has done everything it was given."""
        self._context.finish()

    # ---- preparing --------------------------------------------------------------------------------------------------
    def _prepare(self, programs: Sequence[Program]) -> list[_Batch | HostStep]:
        batches: list[_Batch | HostStep] = []
        for step in self.plan.steps:
            if isinstance(step, HostStep):
                batches.append(step)
                continue
            if not batches or not isinstance(batches[-1], _Batch):
                batches.append(_Batch([]))
            last = batches[-1]
            assert isinstance(last, _Batch)
            last.launches.append(self._launch(step, programs))
        return batches

    def _launch(self, step: Launch, programs: Sequence[Program]) -> DeviceLaunch:
        kernel = self.plan.kernels[step.kernel]
        arguments = [self._argument(a) for a in step.args]
        return programs[kernel.unit].launch(kernel.name, arguments, step.global_size, step.local_size)

    def _argument(self, arg: LaunchArg) -> Argument:
        match arg:
            case Region():
                return self._image(arg) if arg.image else self._buffer(arg)
            case LocalArg(nbytes):
                return LocalMemory(nbytes)
            case ScalarArg(value, dtype):
                scalar: np.generic = dtype.numpy.type(value)
                return scalar

    def _image(self, region: Region) -> Buffer:
        """Constants as an image; launches with the same ones share it."""
        if region not in self._images:
            assert region.image is not None
            image = self._images[region] = self._context.image(*region.image)
            self._context.fill_image(image, self._buffer(region), *region.image)
        return self._images[region]

    def _buffer(self, region: Region) -> Buffer:
        pool = self._pools[region.pool]
        if pool is None:
            raise OpenCLError(f"the plan has no {region.pool} for {region}")
        return pool.region(region.offset, region.nbytes)

    # ---- moving tensors ---------------------------------------------------------------------------------------------
    def _write(self, place: Place, value: Array) -> None:
        assert place.region is not None
        if value.nbytes:
            self._context.write(self._buffer(place.region), value)

    def _read(self, place: Place, values: Mapping[str, Any]) -> Any:
        if place.region is None:
            return values[place.name]
        assert place.type is not None
        array = np.empty(place.type.dims, place.type.dtype.numpy)
        if array.nbytes:
            self._context.read(self._buffer(place.region), array)
        return array

    def _run_host(self, step: HostStep, values: dict[str, Any]) -> None:
        if self._host is None:
            from mace.execution.host import HostRunner

            self._host = HostRunner()
        inputs = [None if p is None else self._read(p, values) for p in step.inputs]
        for place, result in zip(step.outputs, self._host.run(step, inputs), strict=True):
            if place is None:
                continue
            if place.region is None:
                values[place.name] = result
            else:
                assert place.type is not None
                self._write(place, np.ascontiguousarray(result, place.type.dtype.numpy))


def _host_arrays(plan: Plan) -> dict[str, Array]:
    """The constants that only host steps can hold."""
    from mace.graph.serialise import array_from_json

    return {name: array_from_json(value) for name, value in plan.host_values.items()}

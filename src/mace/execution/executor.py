"""Plays a plan: everything prepared once, then each run writes inputs, launches, and reads outputs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mace.errors import OpenCLError
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Argument, LocalMemory, Program
from mace.opencl.kernel import Launch as DeviceLaunch
from mace.plan.plan import HostStep, Launch, LaunchArg, LocalArg, Place, Plan, Region, ScalarArg
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
        self._host: HostRunner | None = None
        self._arena = context.allocate(plan.arena_bytes) if plan.arena_bytes else None
        self._constants = context.constant(constants) if plan.constants_bytes else None
        self._host_constants = _host_arrays(plan) if plan.host_values else {}
        self._batches = self._prepare(programs)
        self._last_read = next((p for p in reversed(plan.outputs) if p.region is not None and p.region.nbytes), None)
        """The output whose reading is waited for: commands are done in order, so everything else is done then too."""

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name, each an array of its own. ``feeds`` were checked: arrays are contiguous and of the right type."""
        with self._lock, self._context.lock:
            values: dict[str, Any] = dict(self._host_constants)
            waited = False
            try:
                for place in self.plan.inputs:
                    if place.region is None:
                        values[place.name] = feeds[place.name]
                    else:
                        self._write(place, feeds[place.name], wait=False)
                for batch in self._batches:
                    if isinstance(batch, _Batch):
                        self._context.run(batch.launches, window=self._window)
                    else:
                        self._run_host(batch, values)
                results = {p.name: self._read(p, values, wait=p is self._last_read) for p in self.plan.outputs}
                waited = self._last_read is not None
                return results
            finally:
                if not waited:  # transfers may be under way from and to memory that is given up now
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
                return self._buffer(arg)
            case LocalArg(nbytes):
                return LocalMemory(nbytes)
            case ScalarArg(value, dtype):
                scalar: np.generic = dtype.numpy.type(value)
                return scalar

    def _buffer(self, region: Region) -> Buffer:
        pool = self._arena if region.pool == "arena" else self._constants
        if pool is None:
            raise OpenCLError(f"the plan has no {region.pool} for {region}")
        return pool.region(region.offset, region.nbytes)

    # ---- moving tensors ---------------------------------------------------------------------------------------------
    def _write(self, place: Place, value: Array, *, wait: bool = True) -> None:
        assert place.region is not None
        if value.nbytes:
            self._context.write(self._buffer(place.region), value, wait=wait)

    def _read(self, place: Place, values: Mapping[str, Any], *, wait: bool = True) -> Any:
        if place.region is None:
            return values[place.name]
        assert place.type is not None
        array = np.empty(place.type.dims, place.type.dtype.numpy)
        if array.nbytes:
            self._context.read(self._buffer(place.region), array, wait=wait)
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

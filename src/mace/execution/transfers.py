"""Tensors on their way into a run and out of it: copied, or worked on where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mace.errors import InputError
from mace.opencl.buffer import Buffer
from mace.opencl.context import Context
from mace.opencl.kernel import Launch
from mace.plan.plan import Place, Region
from mace.tensor import Array

if TYPE_CHECKING:
    from mace.execution.device_tensor import DeviceTensor

IN_PLACE_BYTES = 1 << 17
"""From how many bytes on an array is worked on where it is: the buffer over it costs as much as copying so many."""


class Transfers:
    """The inputs and outputs of one run at a time. After :meth:`settle` no kernel knows any memory but the plan's own."""

    def __init__(self, context: Context, memory: Callable[[Region], Buffer], launches: Sequence[Launch]) -> None:
        """``memory`` finds a region's buffer; ``launches`` are the plan's."""
        self._context, self._memory, self._launches = context, memory, launches
        self._moved: list[Place] = []
        """Places whose launches have been given other memory for this run."""
        self._shown: list[Buffer] = []
        self._busy: list[tuple[int, int]] = []
        """Address ranges of arrays that kernels work on in this run."""
        self._spare: dict[int, list[Buffer]] = {}
        """Memory of tensors that nobody has any longer, by size: fresh memory costs more than a launch. Commands are done in
        order, so it may be written to again while the device still reads it."""
        self._copies: dict[str, Array] = {}
        """Memory that kernels work on in the place of inputs that lie at addresses where they cannot."""
        self.host_waits = False
        """Whether commands of this run touch memory of the host's, which nobody may change before they are done."""

    def put(self, place: Place, value: Array | DeviceTensor) -> None:
        """An input: an array, contiguous and of the right type, or a tensor of the same context."""
        assert place.region is not None
        if isinstance(value, np.ndarray):
            if value.nbytes:
                self.host_waits = True
                if self._takes(place, value):
                    self._give(place, self._context.over(value))
                elif place.uses and self._context.array_alignment > 1:
                    self._give(place, self._context.over(self._aligned_copy(place, value)))
                else:
                    self._context.write(self._memory(place.region), value, wait=False)
        elif place.uses and value.offset == 0:
            self._give(place, value.buffer)
        elif value.nbytes:
            self._context.copy(value.buffer, self._memory(place.region), value.nbytes, value.offset)

    def _aligned_copy(self, place: Place, value: Array) -> Array:
        if place.name not in self._copies:
            self._copies[place.name] = self._context.empty(value.shape, value.dtype)
        copy = self._copies[place.name]
        np.copyto(copy, value)
        return copy

    def result(self, place: Place, array: Array | None = None) -> Array:
        """Before the launches: the array that an output will be in, of the caller's if one is given."""
        assert place.type is not None
        if array is None:
            large = place.uses and place.type.nbytes >= IN_PLACE_BYTES
            array = (self._context.empty if large else np.empty)(place.type.dims, place.type.dtype.numpy)
        elif array.shape != place.type.dims or array.dtype != place.type.dtype.numpy:
            raise InputError(
                f"output '{place.name}' is {place.type}, the array given for it {array.dtype}{array.shape}"
            )
        if array.nbytes and self._takes(place, array):
            buffer = self._context.over(array)
            self._give(place, buffer)
            self._shown.append(buffer)
        return array

    def resident(self, place: Place) -> DeviceTensor:
        """Before the launches: the tensor that an output will be, in memory of its own."""
        from mace.execution.device_tensor import DeviceTensor

        assert place.type is not None
        spare = self._spare.setdefault(place.type.nbytes, [])
        try:
            buffer = spare.pop()
        except IndexError:
            buffer = self._context.allocate(place.type.nbytes)
        tensor = DeviceTensor(self._context, buffer, place.type, spare=spare)
        if place.uses:
            self._give(place, tensor.buffer)
        return tensor

    def collect(self, place: Place, result: Array | DeviceTensor) -> None:
        """After the launches: begin to bring an output to where it was promised to be."""
        assert place.region is not None
        moved = place in self._moved
        if not isinstance(result, np.ndarray):
            if not moved and result.nbytes:
                self._context.copy(self._memory(place.region), result.buffer, result.nbytes)
        elif result.nbytes:
            self.host_waits = True
            if not moved:
                self._context.read(self._memory(place.region), result, wait=False)

    def show(self) -> None:
        """After all of :meth:`collect`: let arrays that kernels wrote to hold it once the queue has got so far."""
        for buffer in self._shown:
            self._context.show(buffer)

    def settle(self) -> None:
        """Give the launches the plan's own memory back."""
        for place in self._moved:
            assert place.region is not None
            self._give_to(place, self._memory(place.region))
        self._moved.clear()
        self._shown.clear()
        self._busy.clear()
        self.host_waits = False

    def _takes(self, place: Place, array: Array) -> bool:
        """Whether kernels may work on this array: large enough to pay, and not shared with another tensor of the run."""
        if not place.uses or array.nbytes < IN_PLACE_BYTES or not self._context.works_on(array):
            return False
        begin = array.__array_interface__["data"][0]
        if any(begin < e and b < begin + array.nbytes for b, e in self._busy):
            return False
        self._busy.append((begin, begin + array.nbytes))
        return True

    def _give(self, place: Place, buffer: Buffer) -> None:
        self._moved.append(place)
        self._give_to(place, buffer)

    def _give_to(self, place: Place, buffer: Buffer) -> None:
        for launch, argument in place.uses:
            self._launches[launch].set_argument(argument, buffer)

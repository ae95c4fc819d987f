"""The plan: everything a run does, as plain data that any language could play.

A plan knows no OpenCL object and no graph. It lists the kernels to have, the steps to take in order, and where every
tensor lies: in the arena, in the blob of packed constants, or (strings, sequences, shapes known only at run time) on the
host under a name. The records are named tuples, which cost a fraction of what data classes take to define and to make: a plan
is read at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from mace.tensor import DType, TensorType

PLAN_VERSION = 1
TEXEL_BYTES = 16
"""Four float32."""

Pool = Literal["arena", "constants", "counters"]
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Region(NamedTuple):
    """A range of bytes in the arena, in the blob of constants, or of the counters in which the workers of a chain agree.

    With ``image``, width and height in texels of four float32, a kernel gets an image that holds these bytes.
    """

    pool: Pool
    offset: int
    nbytes: int
    image: tuple[int, int] | None = None


class LocalArg(NamedTuple):
    """A kernel argument in local memory."""

    nbytes: int


class ScalarArg(NamedTuple):
    """A kernel argument passed by value."""

    value: int | float
    dtype: DType


LaunchArg: TypeAlias = Region | LocalArg | ScalarArg


class Launch(NamedTuple):
    """One kernel launch. ``kernel`` indexes ``Plan.kernels``; ``node`` and ``op`` say what it came from."""

    kernel: int
    args: tuple[LaunchArg, ...]
    global_size: tuple[int, ...]
    local_size: tuple[int, ...] | None
    node: str
    op: str
    flops: int
    nbytes: int
    tuning_key: str = ""


class Place(NamedTuple):
    """Where a whole tensor is: a region with its type, or a host value by name (``region`` None)."""

    name: str
    type: TensorType | None
    region: Region | None
    uses: tuple[tuple[int, int], ...] = ()
    """For an input or output of the plan: (launch, argument) for all that touches its memory, where each of them is given the
    tensor as a whole. Other memory can then take its place. Empty where parts are used, or others lie in it."""


class HostStep(NamedTuple):
    """A node run by the reference operators between launches. ``node`` is its serialised form (``graph/serialise.py``)."""

    node: dict[str, Any]
    inputs: tuple[Place | None, ...]
    outputs: tuple[Place | None, ...]
    touches_float: bool


Step: TypeAlias = Launch | HostStep


class Part(NamedTuple):
    """A call that a kernel of several does: the name of the kernel that it has alone, how many of the arguments are its own, and
    its work-items."""

    name: str
    arguments: int
    items: int


class KernelSpec(NamedTuple):
    """A kernel the plan needs: unique name, and the program unit that holds it."""

    name: str
    template: str
    unit: int
    parts: tuple[Part, ...] = ()
    """What a kernel of several does (``plan/chain.py``). Their arguments follow one another behind the counters."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that what it does has alone."""
        return tuple(part.name for part in self.parts) or (self.name,)


class Plan(NamedTuple):
    """What a run does. Sizes in bytes. ``units`` are the keys (SHA-256 of source and options) of the programs to have."""

    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    steps: tuple[Step, ...]
    kernels: tuple[KernelSpec, ...]
    units: tuple[str, ...]
    build_options: str
    arena_bytes: int
    peak_live_bytes: int
    constants_key: str
    constants_bytes: int
    counters_bytes: int = 0
    """Memory that is zero before the first run, and after each again."""
    host_values: Mapping[str, Any] = NOTHING
    """Constants that only host steps can hold (text), by name, as ``graph.serialise.array_to_json`` writes them."""
    rest: bool = False
    """Whether some of the model waits for shapes that only this plan's outputs will tell."""
    notes: Mapping[str, Any] = NOTHING

    @property
    def launches(self) -> tuple[Launch, ...]:
        return tuple(s for s in self.steps if isinstance(s, Launch))

    @property
    def host_steps(self) -> tuple[HostStep, ...]:
        return tuple(s for s in self.steps if isinstance(s, HostStep))

"""Lowering: what an operator becomes on a device, as plain data that needs no device to be made or tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from mace.device import DeviceTraits
from mace.graph.ir import Node
from mace.tensor import Array, DType, TensorType

Define: TypeAlias = int | float | str

GROUP_OF_ONE = "__attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(float4)))"
"""How a kernel says that each of its work-items is a group of its own, and its vectors explicit: Intel's CPU compiler else
vectorises it across work-items all the same, drops the result, and takes more than twice as long."""


def group_defines(device: DeviceTraits, axes: int = 1) -> tuple[dict[str, Define], tuple[int, ...] | None]:
    """Macro GROUP_ATTRIBUTE and the local size in an index space of so many axes: one work-item per group on CPUs.

    A CPU compiler then has nothing to vectorise across work-items, which would tear the explicit vectors apart.
    """
    if device.kind == "cpu":
        return {"GROUP_ATTRIBUTE": GROUP_OF_ONE}, (1,) * axes
    return {"GROUP_ATTRIBUTE": ""}, None


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor lies in memory.

    ``block == 0``: row-major. Otherwise channel-blocked: a tensor N×C×(spatial) lies as N × ⌈C/block⌉ × spatial × block,
    the lanes beyond C hold anything. ``last``: row-major with the channels behind the spatial dimensions, which is what
    a transposition of a convolution's result often asks for.
    """

    block: int = 0
    last: bool = False

    @property
    def is_plain(self) -> bool:
        return self.block == 0 and not self.last

    def stored(self, dims: tuple[int, ...]) -> tuple[int, ...]:
        """Extents of the row-major array that a tensor of this shape is in memory."""
        if self.last:
            return (dims[0], *dims[2:], dims[1])
        return (dims[0], -(-dims[1] // self.block), *dims[2:], self.block) if self.block else dims

    def elements(self, dims: tuple[int, ...]) -> int:
        """Elements that a tensor of this shape occupies."""
        count = 1
        for axis, d in enumerate(dims):
            count *= -(-d // self.block) * self.block if self.block and axis == 1 else d
        return count


PLAIN = Layout()
CHANNELS_LAST = Layout(last=True)


@dataclass(frozen=True, slots=True)
class Read:
    """Kernel argument: buffer of a value that is read."""

    value: str


@dataclass(frozen=True, slots=True)
class Write:
    """Kernel argument: buffer of a value that is written."""

    value: str


@dataclass(frozen=True, slots=True)
class Constant:
    """Kernel argument: a constant rewritten on the host once, at planning.

    ``pack`` names a function in ``mace.ops.packing`` taking the arrays of ``values`` (in order; may be several, such as
    weight and scale) and ``params``; its result is stored as it is. With ``image`` the kernel gets a two-dimensional image of
    that width and height, whose texels are four float32 each, one row after the other.
    """

    values: tuple[str, ...]
    pack: str = "plain"
    params: tuple[tuple[str, Define], ...] = ()
    image: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Scratch:
    """Kernel argument: device memory that lives for the calls of one node. Same ``name`` = same memory."""

    name: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class Local:
    """Kernel argument: local memory of this many bytes."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """Kernel argument: a number passed by value."""

    value: int | float
    dtype: DType


Arg: TypeAlias = Read | Write | Constant | Scratch | Local | Scalar


@dataclass(frozen=True, slots=True)
class KernelCall:
    """One launch: a template, the macros that specialise it, its arguments in order, and its index space."""

    template: str
    """Name of a file in ``mace/kernels`` without ``.cl``; the launch's kernel is the one function in it."""
    defines: Mapping[str, Define]
    args: tuple[Arg, ...]
    global_size: tuple[int, ...]
    local_size: tuple[int, ...] | None = None
    flops: int = 0
    """Useful floating-point operations (a multiply-add counts two)."""
    tuning_key: str = ""
    """Space and problem this call was chosen from, for the tuner; empty where nothing can be tuned."""


class Tunings(Protocol):
    """Chosen parameters per tunable problem."""

    def lookup(self, space: str, problem: Mapping[str, int | str]) -> Mapping[str, int] | None:
        """Parameters found best for this problem on this device, or None."""


@dataclass(frozen=True)
class LowerContext:
    """What an operator may ask while it is lowered. All shapes are numbers by now."""

    types: Mapping[str, TensorType]
    constants: Mapping[str, Array]
    layouts: Mapping[str, Layout]
    device: DeviceTraits
    tunings: Tunings | None = None
    options: Mapping[str, int | str] = field(default_factory=dict)

    def type(self, name: str) -> TensorType:
        return self.types[name]

    def dims(self, name: str) -> tuple[int, ...]:
        return self.types[name].dims

    def layout(self, name: str) -> Layout:
        return self.layouts.get(name, PLAIN)

    def constant(self, name: str) -> Array | None:
        return self.constants.get(name) if name else None


Lower: TypeAlias = Callable[[Node, LowerContext], "list[KernelCall] | None"]
"""Turns a node into launches, or returns None when no kernel fits (the node becomes a host step)."""

Placement = Literal["plain", "blocked", "follow"]


@dataclass(frozen=True, slots=True)
class LayoutWish:
    """Which layout each input and output of a node has if the node runs on channel-blocked tensors."""

    inputs: tuple[bool, ...]
    """Per node input: whether it must be blocked (True) or plain (False)."""
    outputs: tuple[bool, ...]
    eager: bool
    """True: blocked is much better, ask for reorders. False: go along when some input is blocked already."""


Wish: TypeAlias = Callable[[Node, LowerContext, int], LayoutWish | None]
"""Layouts a node would take with channel blocks of the given width, or None when it can only run on plain tensors."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator's record: how to lower it and where it can run on channel-blocked tensors."""

    name: str
    lower: Lower
    wish: Wish | None = None
    domain: str = ""
    metadata_only: bool = False
    """The result is the first input's memory under another shape (Reshape, Flatten, Squeeze …): no launch at all."""

"""What is done one after the other, and what at once: on CPUs, short calls that need nothing of one another are one stage.

At the end of a stage the cores wait for one another. Branches of a network, such as the heads of a detector, spare that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from mace.graph.ir import Node
from mace.ops.lowering import Arg, Constant, KernelCall, Read, Scratch, Write
from mace.plan.aliases import Aliases

MAX_PARTS = 4
MAX_ARGUMENTS = 32
SHORT_FLOPS = 20_000_000
"""Calls of more floating-point operations are stages by themselves: beside some fifty microseconds waiting costs little, while
the memory of all that is done at once is needed at once."""
READ_POSITIONS = frozenset(
    {"gather_axis", "gather_elements", "gather_nd", "one_hot", "reverse_sequence"}
    | {"scatter_elements", "scatter_nd", "unpool"}
)
"""Templates some of whose inputs say where to read or write: they cannot be run on any numbers, and have their own launches."""


@dataclass(frozen=True, slots=True)
class Work:
    """A node with the calls it became, or none when it is a host step."""

    node: Node
    calls: tuple[KernelCall, ...] | None


class Task(NamedTuple):
    """One call, and the node that it is a part of."""

    node: Node
    call: KernelCall


@dataclass(slots=True)
class Stage:
    """A host step, or calls that are done at once."""

    host: Node | None = None
    tasks: list[Task] = field(default_factory=list)

    def arguments(self) -> Iterator[tuple[Node, Arg]]:
        """Those of all its calls in order, with the nodes that the calls are parts of."""
        return ((node, arg) for node, call in self.tasks for arg in call.args)


class _Span(NamedTuple):
    """Bytes of some memory that a node's call reads or writes."""

    root: str
    begin: int
    end: int
    written: bool
    node: Node

    def waits_for(self, other: _Span) -> bool:
        """Whether this call must come after another one of ``other``, which was given before."""
        if self.begin >= other.end or other.begin >= self.end or not (self.written or other.written):
            return False
        return not (self.written and other.written and self.node is other.node and self.node.op == "Assemble")


def scratch_name(node: Node, name: str) -> str:
    """The name of memory that lives for the calls of one node."""
    return f"{node.outputs[0]}\0{name}"


def schedule(work: Sequence[Work], aliases: Aliases, constants: frozenset[str], *, joins: bool) -> list[Stage]:
    """The stages of these nodes, in order. Without ``joins`` each call has one of its own.

    A call joins the first stage behind all that it needs where there is room for it; the others keep their order.
    """
    scheduler = _Scheduler(aliases, constants, joins)
    for item in work:
        if item.calls is None:
            scheduler.add_host(item.node)
        else:
            for call in item.calls:
                scheduler.add(Task(item.node, call))
    return scheduler.stages


class _Scheduler:
    def __init__(self, aliases: Aliases, constants: frozenset[str], joins: bool) -> None:
        self.aliases, self.constants, self.joins = aliases, constants, joins
        self.stages: list[Stage] = []
        self.spans: dict[str, list[tuple[_Span, int]]] = {}
        """What the stages touch of each memory, with their numbers."""
        self.barrier = 0
        """The first stage behind the last host step."""

    def add_host(self, node: Node) -> None:
        self.stages.append(Stage(node))
        self.barrier = len(self.stages)

    def add(self, task: Task) -> None:
        spans = list(self.touched(task))
        at = len(self.stages)
        if self.joins and _is_short(task.call):
            first = max(map(self.after, spans), default=self.barrier)
            at = next((s for s in range(first, at) if self.has_room(s, task.call)), at)
        if at == len(self.stages):
            self.stages.append(Stage())
        self.stages[at].tasks.append(task)
        for span in spans:
            self.spans.setdefault(span.root, []).append((span, at))

    def touched(self, task: Task) -> Iterator[_Span]:
        """What each argument is."""
        for arg in task.call.args:
            match arg:
                case Read(value) | Write(value) if value not in self.constants:
                    slot = self.aliases.slot(value)
                    end = slot.offset + self.aliases.nbytes(value)
                    yield _Span(slot.root, slot.offset, end, isinstance(arg, Write), task.node)
                case Scratch(name, nbytes):
                    yield _Span(scratch_name(task.node, name), 0, nbytes, True, task.node)

    def after(self, span: _Span) -> int:
        """The first stage behind everything that must be done before these bytes are touched."""
        return max(
            (at + 1 for other, at in self.spans.get(span.root, ()) if span.waits_for(other)), default=self.barrier
        )

    def has_room(self, number: int, call: KernelCall) -> bool:
        tasks = self.stages[number].tasks
        if not tasks or len(tasks) >= MAX_PARTS or not _is_short(tasks[0].call):
            return False
        return len(call.args) + sum(len(t.call.args) for t in tasks) <= MAX_ARGUMENTS


def _is_short(call: KernelCall) -> bool:
    return call.flops <= SHORT_FLOPS and may_join(call)


def may_join(call: KernelCall) -> bool:
    """Whether a launch may do it beside others: its work-items are groups of their own, so that the compiler makes nothing of
    their neighbourhood."""
    if call.template in READ_POSITIONS or call.local_size is None or prod(call.local_size) != 1:
        return False
    return all(isinstance(a, Read | Write | Scratch) or (isinstance(a, Constant) and not a.image) for a in call.args)

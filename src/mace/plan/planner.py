"""Graph + device traits + tunings → plan, kernel sources and packed constants. No OpenCL in here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mace.device import DeviceTraits
from mace.graph.ir import Graph, Node
from mace.graph.serialise import array_to_json, node_to_json
from mace.ops.lowering import Constant, Local, LowerContext, Read, Scalar, Scratch, Tunings, Write
from mace.ops.packing import pack
from mace.ops.registry import find, lowered, on_device
from mace.ops.tunable import SEPARATOR
from mace.plan.aliases import Aliases
from mace.plan.arena import Lifetime, peak_live, place
from mace.plan.chain import chains, counter_bytes, instance_of_chain
from mace.plan.join_attention import join_attention
from mace.plan.join_bottlenecks import join_bottlenecks
from mace.plan.join_moves import join_moves
from mace.plan.layout import LaidOut, assign_layouts
from mace.plan.narrow import store_narrow
from mace.plan.options import GENERIC_VECTOR, PlanOptions
from mace.plan.pair_convolutions import pair_convolutions
from mace.plan.plan import HostStep, KernelSpec, Launch, LaunchArg, LocalArg, Place, Plan, Region, ScalarArg, Step
from mace.plan.ports import whole_uses
from mace.plan.schedule import Stage, Work, schedule, scratch_name
from mace.plan.source import (
    Instance,
    build_options_for,
    instance_of,
    program_key,
    program_text,
    split_units,
)
from mace.plan.split import is_static, split_ready
from mace.tensor import Array, DType, TensorType


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what has to be made for it. ``sources`` is parallel to ``plan.units``."""

    plan: Plan
    sources: tuple[str, ...]
    constants: Array
    rest: Graph | None


@dataclass(slots=True)
class _Blob:
    """Constants packed one after the other; equal requests share bytes."""

    alignment: int
    arrays: Mapping[str, Array]
    parts: list[Array] = field(default_factory=list)
    size: int = 0
    known: dict[Constant, Region] = field(default_factory=dict)

    def add(self, request: Constant) -> Region:
        if request not in self.known:
            packed = pack(request, self.arrays)
            raw = packed.reshape(-1).view(np.uint8)
            padded = -(-max(raw.size, 1) // self.alignment) * self.alignment
            self.parts.append(raw)
            if padded > raw.size:
                self.parts.append(np.zeros(padded - raw.size, np.uint8))
            self.known[request] = Region("constants", self.size, max(raw.size, 1), request.image)
            self.size += padded
        return self.known[request]

    def bytes(self) -> Array:
        return np.concatenate(self.parts) if self.parts else np.zeros(0, np.uint8)


class _Planner:
    def __init__(self, graph: Graph, laid: LaidOut, context: LowerContext, options: PlanOptions) -> None:
        self.graph, self.laid, self.context, self.options = graph, laid, context, options
        self.alignment = max(context.device.alignment, 64)
        self.blob = _Blob(self.alignment, graph.constants)
        self.aliases = Aliases(context, self.alignment)
        self.host_values: dict[str, Any] = {}
        self.counters_bytes = 0
        self.joins = options.joins_launches and not options.generic and context.device.kind == "cpu"

    # ---- what each node becomes -------------------------------------------------------------------------------------
    def lower(self) -> list[Work]:
        work: list[Work] = []
        for node in self.laid.nodes:
            record = find(node.op, node.domain)
            if record and self._is_reinterpretation(node, record.metadata_only):
                self.aliases.reinterpret(node.inputs[0], node.outputs[0])
                continue
            calls = lowered(node, self._context_for(node))
            if calls is not None:
                calls = self.aliases.without_copies(node, calls)
                if not calls or all(self._is_empty(o) for o in node.outputs if o):
                    continue
            work.append(Work(node, None if calls is None else tuple(calls)))
        return work

    def _context_for(self, node: Node) -> LowerContext:
        return general_context(self.context) if node.outputs[0] in self.laid.general else self.context

    def _is_empty(self, value: str) -> bool:
        return self.laid.types[value].size == 0

    def _is_reinterpretation(self, node: Node, metadata_only: bool) -> bool:
        """Whether the output is the input's bytes under another shape or an equivalent layout."""
        source, target = node.inputs[0] if node.inputs else "", node.outputs[0]
        if not self._on_device(source) or not self._on_device(target) or source in self.graph.constants:
            return False
        if node.op == "Reorder":
            block = max(self.context.layout(source).block, self.context.layout(target).block)
            dims = self.context.dims(source)
            return bool(block) and dims[1] % block == 0 and int(np.prod(dims[2:])) == 1
        if self.context.layout(source).last:  # read by a Transpose to that order, maybe behind a Reshape of the space
            return True
        return metadata_only and self.context.layout(source).is_plain

    def _on_device(self, value: str) -> bool:
        return on_device(self.laid.types.get(value))

    def schedule(self, work: list[Work]) -> list[list[Stage]]:
        """The stages of each launch, in order; a host step is by itself."""
        stages = schedule(work, self.aliases, frozenset(self.graph.constants), joins=self.joins)
        return chains(stages) if self.joins else [[stage] for stage in stages]

    # ---- where everything lies --------------------------------------------------------------------------------------
    def lifetimes(self, stages: list[Stage]) -> dict[str, Lifetime]:
        """Lifetimes in stages, of values and of scratch memory."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        sizes: dict[str, int] = {}

        def touch(value: str, step: int) -> None:
            if value in self.graph.constants or not self._on_device(value):
                return
            root = self.aliases.slot(value).root
            first.setdefault(root, step)
            last[root] = max(last.get(root, step), step)
            sizes[root] = self.aliases.nbytes(root)

        for value in self.graph.inputs:
            touch(value, 0)
        for step, stage in enumerate(stages):
            if stage.host is not None:
                for value in (*stage.host.reads(), *(o for o in stage.host.outputs if o)):
                    touch(value, step)
            for node, call in stage.tasks:
                for arg in call.args:
                    if isinstance(arg, Read | Write):
                        touch(arg.value, step)
                    elif isinstance(arg, Scratch):
                        name = scratch_name(node, arg.name)
                        first.setdefault(name, step)
                        last[name], sizes[name] = step, arg.nbytes
        for value in self.laid.outputs.values():
            touch(value, len(stages))
        return {n: Lifetime(sizes[n], first[n], last[n]) for n in first}

    def region(self, value: str, offsets: Mapping[str, int]) -> Region | None:
        """The bytes of a value, or None for one that only the host can hold."""
        if value in self.graph.constants:
            array = self.graph.constants[value]
            if DType.of(array.dtype) is DType.STRING:
                self.host_values[value] = array_to_json(array)
                return None
            return self.blob.add(Constant((value,)))
        if not self._on_device(value):
            return None
        slot = self.aliases.slot(value)
        return Region("arena", offsets[slot.root] + slot.offset, self.aliases.nbytes(value))

    def place(self, name: str, value: str, offsets: Mapping[str, int]) -> Place:
        return Place(name, self.laid.types.get(value) or self.graph.type_of(value), self.region(value, offsets))

    # ---- the steps --------------------------------------------------------------------------------------------------
    def argument(self, node: Node, arg: object, offsets: Mapping[str, int]) -> LaunchArg:
        match arg:
            case Read(value) | Write(value):
                region = self.region(value, offsets)
                if region is None:
                    raise ValueError(f"{node.op} {node.name}: {value} has no place on the device")
                return region
            case Constant():
                return self.blob.add(arg)
            case Scratch():
                return Region("arena", offsets[scratch_name(node, arg.name)], arg.nbytes)
            case Local(nbytes):
                return LocalArg(nbytes)
            case Scalar(value, dtype):
                return ScalarArg(value, dtype)
            case _:
                raise TypeError(f"{node.op}: {arg!r} is no kernel argument")

    def launch(self, chain: Sequence[Stage], offsets: Mapping[str, int]) -> tuple[Instance, Launch]:
        """The kernel and the launch for these stages."""
        stages = [[call for _, call in stage.tasks] for stage in chain]
        calls = [call for stage in stages for call in stage]
        args = tuple(self.argument(*task, offsets) for stage in chain for task in stage.arguments())
        launch = Launch(
            kernel=0,
            args=args,
            global_size=calls[0].global_size,
            local_size=calls[0].local_size,
            node=", ".join(" + ".join(node.name or node.outputs[0] for node, _ in s.tasks) for s in chain),
            op=", ".join(" + ".join(node.op for node, _ in s.tasks) for s in chain),
            flops=sum(c.flops for c in calls),
            nbytes=sum(a.nbytes for a in args if isinstance(a, Region)),
            tuning_key=SEPARATOR.join(c.tuning_key for c in calls if c.tuning_key),
        )
        if len(calls) == 1:
            return instance_of(calls[0]), launch
        workers = max(1, self.context.device.compute_units)
        counters = self.counters(counter_bytes(len(stages), workers))
        launch = launch._replace(args=(counters, *args), global_size=(workers,), local_size=(1,))
        return instance_of_chain(stages, workers), launch

    def counters(self, nbytes: int) -> Region:
        """Memory of its own for the counters of one launch."""
        offset = self.counters_bytes
        self.counters_bytes += -(-nbytes // self.alignment) * self.alignment
        return Region("counters", offset, nbytes)

    def host_step(self, node: Node, offsets: Mapping[str, int]) -> HostStep:
        inputs = tuple(self.place(v, v, offsets) if v else None for v in (*node.inputs, *node.captured))
        outputs = tuple(self.place(v, v, offsets) if v else None for v in node.outputs)
        floats = any(p and p.type and p.type.dtype.is_float and p.type.shape != () for p in (*inputs, *outputs))
        return HostStep(node_to_json(node), inputs, outputs, floats)

    def plan(self) -> tuple[Plan, tuple[str, ...], Array]:
        launches = self.schedule(self.lower())
        stages = [stage for chain in launches for stage in chain]
        lifetimes = self.lifetimes(stages)
        offsets, arena = place(lifetimes, self.alignment)
        drafts: list[tuple[Instance | None, Step]] = []
        for chain in launches:
            host = chain[0].host
            drafts.append(self.launch(chain, offsets) if host is None else (None, self.host_step(host, offsets)))
        uses = whole_uses(launches, self.aliases, self.graph.inputs, tuple(self.laid.outputs.values()))
        inputs = tuple(self.place(v, v, offsets)._replace(uses=uses.get(v, ())) for v in self.graph.inputs)
        outputs = tuple(self.place(o, v, offsets)._replace(uses=uses.get(v, ())) for o, v in self.laid.outputs.items())

        instances = {i.name: i for i, _ in drafts if i is not None}
        build_options = build_options_for(self.options.build_options, instances.values())
        units = split_units(instances.values(), self.options.units)
        sources = tuple(program_text(u) for u in units)
        kernels = tuple(KernelSpec(i.name, i.template, n, i.parts) for n, unit in enumerate(units) for i in unit)
        index = {k.name: n for n, k in enumerate(kernels)}
        blob = self.blob.bytes()
        plan = Plan(
            inputs=inputs,
            outputs=outputs,
            steps=tuple(_numbered(step, index, instance) for instance, step in drafts),
            kernels=kernels,
            units=tuple(program_key(s, build_options) for s in sources),
            build_options=build_options,
            arena_bytes=arena,
            peak_live_bytes=peak_live(tuple(lifetimes.values())),
            constants_key=hashlib.sha256(blob.data).hexdigest(),
            constants_bytes=blob.size,
            counters_bytes=self.counters_bytes,
            host_values=self.host_values,
        )
        return plan, sources, blob


def _numbered(step: Step, index: Mapping[str, int], instance: Instance | None) -> Step:
    if instance is None or not isinstance(step, Launch):
        return step
    return step._replace(kernel=index[instance.name])


def static_types(graph: Graph) -> dict[str, TensorType]:
    """Types of all values that are known to the last number."""
    names = graph.names()
    return {n: t for n in names if is_static(graph, n) and (t := graph.type_of(n)) is not None}


@dataclass(frozen=True, slots=True)
class Draft:
    """A bound graph laid out for a device, just before its nodes are lowered."""

    graph: Graph
    laid: LaidOut
    context: LowerContext
    rest: Graph | None


def _context_of(graph: Graph, device: DeviceTraits, tunings: Tunings | None, options: PlanOptions) -> LowerContext:
    return LowerContext(static_types(graph), graph.constants, {}, device, tunings, options.lowering_options())


def general_context(context: LowerContext) -> LowerContext:
    """The context in which a node is lowered to its general variant."""
    device = context.device.narrowed(GENERIC_VECTOR)
    return replace(context, device=device, tunings=None, options={**context.options, "generic": 1})


def draft_plan(
    graph: Graph,
    device: DeviceTraits,
    tunings: Tunings | None,
    options: PlanOptions,
    avoid: frozenset[str] = frozenset(),
) -> Draft:
    """Split off what must wait, and assign layouts to the rest.

    A node that would launch a kernel in ``avoid`` gets its general variant. Where it is a reorder, there are no channel blocks.
    """
    split = split_ready(graph)
    ready = split.ready
    if options.generic:
        device = device.narrowed(GENERIC_VECTOR)
    block = 0 if options.generic or options.quick else device.vector_width if options.block is None else options.block
    context = _context_of(ready, device, tunings, options)
    if options.storage != "fp32":
        ready = store_narrow(ready, context, options.storage)
        context = _context_of(ready, device, tunings, options)
    if not options.generic:
        ready = join_bottlenecks(pair_convolutions(join_attention(ready, context), context, block), context, block)
    general: frozenset[str] = frozenset()
    while True:
        laid = assign_layouts(ready, context, block, general)
        if not options.generic:
            laid = join_moves(laid, context)
        draft = Draft(ready, laid, replace(context, types=laid.types, layouts=laid.layouts), split.rest)
        found = [n for n in laid.nodes if n.outputs[0] not in general and _launches_any(n, draft.context, avoid)]
        if not found:
            return draft
        if any(n.op == "Reorder" for n in found) and options.block != 0:
            return draft_plan(graph, device, tunings, replace(options, block=0), avoid)
        general |= {n.outputs[0] for n in found}


def _launches_any(node: Node, context: LowerContext, kernels: frozenset[str]) -> bool:
    return bool(kernels) and any(instance_of(call).name in kernels for call in lowered(node, context) or ())


def plan_laid(graph: Graph, laid: LaidOut, context: LowerContext, options: PlanOptions) -> Planned:
    """Plan a graph that was laid out before."""
    plan, sources, constants = _Planner(graph, laid, context, options).plan()
    return Planned(plan, sources, constants, None)


def make_plan(
    graph: Graph,
    device: DeviceTraits,
    tunings: Tunings | None = None,
    options: PlanOptions | None = None,
    avoid: frozenset[str] = frozenset(),
) -> Planned:
    """Plan a bound graph for a device, without the kernels named in ``avoid``.

    Returns the plan, the source of each of its program units, the bytes of its constants, and the part of the graph that
    waits for shapes which only this plan's outputs will tell. Raises ``UnsupportedOperatorError`` for nodes nobody can run.
    """
    options = options or PlanOptions()
    draft = draft_plan(graph, device, tunings, options, avoid)
    planned = plan_laid(draft.graph, draft.laid, draft.context, options)
    if draft.rest is None:
        return planned
    return replace(planned, plan=planned.plan._replace(rest=True), rest=draft.rest)

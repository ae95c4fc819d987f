"""Stages that one launch does one after the other: on CPUs, everything between two steps of the host, in a few kernels.

A launch costs the thread that enqueues it some microseconds, and at its end the cores wait for one another asleep. Inside one
launch waiting costs some tenths of one, and a core that is late has its share done by the others. ``common.cl`` has what the
kernels are made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from math import prod

from mace.ops.lowering import GROUP_OF_ONE, Arg, Constant, KernelCall, Read, Scratch, Write
from mace.plan.plan import Part
from mace.plan.schedule import Stage, may_join
from mace.plan.source import Instance, instance_of

MAX_STAGES = 16
"""More in one kernel spare little, and programs are compiled side by side, which needs several kernels."""
MAX_ARGUMENTS = 120
"""Any device takes 1024 bytes of arguments (OpenCL 1.2, table 4.3, CL_DEVICE_MAX_PARAMETER_SIZE): 128 pointers."""
CHUNKS = 8
"""A worker takes its share of a stage in so many pieces, the last of which others may do for it."""
OPENING = "void KERNEL_NAME("
"""Where a template's parameters begin."""
LINE_BYTES = 64
"""From one counter to the next, as MACE_LINE in ``common.cl``."""


def chains(stages: Sequence[Stage]) -> list[list[Stage]]:
    """The stages in order, gathered by the launches that do them; a host step is by itself."""
    found: list[list[Stage]] = []
    for run in _joinable_runs(stages):
        pieces = -(-len(run) // MAX_STAGES)
        arguments = 0
        for number, stage in enumerate(run):
            count = sum(len(call.args) for _, call in stage.tasks)
            if number * pieces // len(run) != (number - 1) * pieces // len(run) or arguments + count > MAX_ARGUMENTS:
                found.append([])
                arguments = 0
            found[-1].append(stage)
            arguments += count
    return found


def _joinable_runs(stages: Iterable[Stage]) -> Iterator[list[Stage]]:
    """As many neighbours at a time as one launch could do, but for their number."""
    run: list[Stage] = []
    for stage in stages:
        if stage.host is None and all(may_join(call) for _, call in stage.tasks):
            run.append(stage)
            continue
        if run:
            yield run
            run = []
        yield [stage]
    if run:
        yield run


def first_argument(chain: Sequence[Stage]) -> int:
    """The place of the first call's first argument among those of the launch: of several calls, behind the counters."""
    return int(sum(len(stage.tasks) for stage in chain) > 1)


def counter_bytes(stages: int, workers: int) -> int:
    """Memory in which the workers of a chain of so many stages agree; zero before the first run and after each."""
    return _lines(stages, workers) * LINE_BYTES


def _lines(stages: int, workers: int) -> int:
    """How many have left; and for each stage what was taken of each one's share, and what is done."""
    return 1 + stages * (workers + 1)


def instance_of_chain(stages: Sequence[Sequence[KernelCall]], workers: int) -> Instance:
    """One kernel for calls whose work-items are groups of their own: stage after stage, the calls of one side by side.

    It is launched with as many groups as there are workers. Its arguments are the counters, then those of all calls in order.
    """
    pairs = [[(call, instance_of(call)) for call in stage] for stage in stages]
    whole = [[(alone.text, call.global_size) for call, alone in stage] for stage in pairs]
    digest = hashlib.sha256(repr((workers, whole)).encode()).hexdigest()[:16]
    functions: dict[tuple[str, tuple[int, ...]], str] = {}
    texts: list[str] = []
    parameters: list[str] = []
    body: list[str] = []
    for number, stage in enumerate(pairs):
        items, first, branches = sum(_items(call) for call, _ in stage), 0, []
        for call, alone in stage:
            key = alone.name, call.global_size[:-1]
            if key not in functions:
                functions[key] = f"{call.template}_{digest}_{len(functions)}"
                texts.append(_function(call, functions[key]))
            names = [f"a{len(parameters) + i}" for i in range(len(call.args))]
            parameters += map(_parameter, call.args, names)
            end = first + _items(call)
            condition = f"if (mace_item < {end}) " if end < items else ""
            branches.append(f"{condition}{functions[key]}({', '.join([f'mace_item - {first}', *names])});")
            first = end
        chunk = max(1, items // (workers * CHUNKS))
        body.append(f"    MACE_STAGE({number}, {workers}, {items}, {chunk}, {' else '.join(branches)});")
    name = f"chain_{digest}"
    kernel = "\n".join(
        [
            f"{GROUP_OF_ONE} __kernel void {name}({', '.join(['volatile __global int *mace_counters', *parameters])})",
            "{",
            "    const int mace_me = get_global_id(0);",
            *body,
            f"    mace_leave(mace_counters, {workers}, {_lines(len(stages), workers)});",
            "}\n",
        ]
    )
    parts = tuple(Part(alone.name, len(call.args), _items(call)) for stage in pairs for call, alone in stage)
    template = "+".join(alone.template for stage in pairs for _, alone in stage)
    return Instance(name, template, "".join([*texts, kernel]), parts)


def _items(call: KernelCall) -> int:
    return prod(call.global_size)


def _parameter(arg: Arg, name: str) -> str:
    # Not restrict: a stage reads what the one before wrote. Inside its function an argument is.
    assert isinstance(arg, Read | Write | Scratch | Constant)
    return f"__global {'const ' if isinstance(arg, Read | Constant) else ''}void *{name}"


def _function(call: KernelCall, name: str) -> str:
    """A template as a function whose first argument is the number of its work-item. It knows no extent of the last axis, in which
    calls that share it differ."""
    item = "mace_id"
    *inner, _ = size = call.global_size
    places = [f"{item} / {prod(size[:axis])}" for axis in range(len(size))]
    places = [*(f"{place} % {extent}" for place, extent in zip(places, inner, strict=False)), places[-1]]
    ids = "".join(f"(d) == {axis} ? {place} : " for axis, place in enumerate(places))
    around = {
        "__kernel": "static __attribute__((noinline))",  # the same code wherever it is called: it is compiled once
        "reqd_work_group_size(x, y, z)": "unused",  # attributes that only a kernel may have
        "vec_type_hint(type)": "unused",
        "get_global_id(d)": f"({ids}0)",
        "get_group_id(d)": "get_global_id(d)",
        "get_local_id(d)": "0",
    }
    text = instance_of(call, name).text
    return "".join(
        [
            *(f"#define {k} {v}\n" for k, v in around.items()),
            text.replace(OPENING, f"{OPENING}const int {item}, "),
            *(f"#undef {k.split('(')[0]}\n" for k in around),
        ]
    )

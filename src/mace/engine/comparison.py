"""Freshly compiled kernels beside their general variants: each specialised kernel of a plan must compute what the node's
general variant does, on the same numbers, in a worker process.

It is done when a program file is saved, from the binaries that are saved, once for each binary on a device and driver.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mace.device import DeviceTraits
from mace.engine.proof import PROOF_SECONDS, Prover
from mace.engine.stage import BoundPlan
from mace.opencl.child import python_command
from mace.opencl.device import Device
from mace.opencl.jobs import Done, OtherJob, Refused
from mace.opencl.pool import WorkerPool, usable_cores
from mace.ops.lowering import Tunings
from mace.plan.alone import Alone, nodes_alone
from mace.plan.embed import embedded
from mace.plan.options import PlanOptions
from mace.plan.plan import Plan
from mace.plan.planner import draft_plan
from mace.plan.schedule import READ_POSITIONS
from mace.plan.serialise import plan_to_json
from mace.plan.source import program_text
from mace.plan.work import Work, work_in
from mace.program.content import EntryKind, ProgramContent

JOB_BYTES = 64 << 20
"""Constants that one worker is given at a time; more in one node go in one piece."""


class Miscompiled(NamedTuple):
    """A node whose specialised kernels do not compute what its general ones do."""

    node: str
    op: str
    kernels: frozenset[str]
    detail: str


class Comparison(NamedTuple):
    """What came of it: specialised kernels compared, what is wrong, and why some could not be compared, if so."""

    kernels: int
    wrong: tuple[Miscompiled, ...]
    problems: tuple[str, ...]
    seconds: float


class Comparer:
    """Compares plans for one device, each binary once."""

    def __init__(self, device: Device, traits: DeviceTraits, tunings: Tunings | None, options: PlanOptions) -> None:
        """``traits``, ``tunings`` and ``options`` are those that the plans were made with."""
        self._device, self._traits, self._tunings, self._options = device, traits, tunings, options
        self._prover = Prover(device)

    def compare(self, plans: Sequence[BoundPlan], content: ProgramContent, avoid: frozenset[str]) -> Comparison:
        """Compare what is in these plans and was not compared here before. ``content`` has their binaries.

        Raises ``DeviceError`` where no worker can be started.
        """
        began = time.perf_counter()
        compared: set[Work] = set()
        wrong: list[Miscompiled] = []
        problems: list[str] = []
        for bound in plans:
            plan = bound.plan
            entries = {u: e for u in plan.units if (e := content.get(EntryKind.PROGRAM, u, self._device.identity))}
            fresh = {u for u, e in entries.items() if not self._prover.has_agreed(e.payload)}
            done = compared.union(work_in(plan, set(plan.units) - fresh))
            if done.issuperset(work_in(plan, fresh)):
                continue
            binaries = {u: bytes(e.payload) for u, e in entries.items()}
            draft = draft_plan(bound.graph(), self._traits, self._tunings, self._options, avoid)
            alone = nodes_alone(draft, self._options, set(work_in(plan, entries)), done, READ_POSITIONS)
            nodes = [node for node in alone if any(embedded(node.special.plan, plan))]
            compared.update(*(n.work for n in nodes))
            found, failed = self._run(nodes, plan, binaries)
            wrong += found
            problems += failed
            bad = frozenset().union(*(w.kernels for w in found))
            for unit in fresh if not failed else ():
                if not any(n in bad for k in plan.kernels if plan.units[k.unit] == unit for n in k.names):
                    self._prover.stamp_agreed(binaries[unit])
        kernels = {work.kernel for work in compared}
        return Comparison(len(kernels), tuple(wrong), tuple(problems), time.perf_counter() - began)

    def _run(self, nodes: list[Alone], plan: Plan, binaries: dict[str, bytes]) -> tuple[list[Miscompiled], list[str]]:
        wrong: list[Miscompiled] = []
        problems: list[str] = []
        groups = list(_groups(nodes))
        jobs = [_job(group, plan, binaries) for group in groups]
        if not jobs:
            return wrong, problems
        command = python_command("mace.engine.compare_worker")
        with WorkerPool(self._device, min(usable_cores(), len(jobs)), command=command) as pool:
            outcomes = pool.run_all(jobs, seconds=PROOF_SECONDS)
        for group, outcome in zip(groups, outcomes, strict=True):
            if not isinstance(outcome, Done):
                problems.append(str(outcome.error if isinstance(outcome, Refused) else outcome))
                continue
            for alone, details in zip(group, json.loads(outcome.binary), strict=True):
                if detail := next(filter(None, details), ""):
                    node = alone.node
                    wrong.append(Miscompiled(node.name or node.outputs[0], node.op, alone.kernels, detail))
        return wrong, problems


def _groups(nodes: Iterable[Alone]) -> Iterable[list[Alone]]:
    """Nodes for each worker: shared evenly, so that each builds about as many general kernels, and not too many bytes each."""
    shares: list[list[Alone]] = [[] for _ in range(usable_cores())]
    sizes = [0] * len(shares)
    for alone in nodes:
        lightest = min(range(len(shares)), key=lambda n: len(shares[n]))
        size = alone.special.plan.constants_bytes + (alone.general.plan.constants_bytes if alone.general else 0)
        if shares[lightest] and sizes[lightest] + size > JOB_BYTES:
            yield shares[lightest]
            shares[lightest], sizes[lightest] = [], 0
        shares[lightest].append(alone)
        sizes[lightest] += size
    yield from filter(None, shares)


def _job(nodes: Sequence[Alone], plan: Plan, binaries: dict[str, bytes]) -> OtherJob:
    """The binaries of the plan, a program of the nodes' general kernels, and each node with both its plans."""
    units = list(binaries)
    programs: list[dict[str, Any]] = []
    pieces: list[Any] = []

    def add(what: str, content: bytes, options: str, *, binary: bool) -> None:
        programs.append({"what": what, "nbytes": len(content), "options": options, "binary": binary})
        pieces.append(content)

    for unit in units:
        add(f"saved program {unit[:12]}", binaries[unit], plan.build_options, binary=True)
    instances = {i.name: i for alone in nodes for i in alone.instances}
    options = next((a.general.plan.build_options for a in nodes if a.general), plan.build_options)
    add("general variants", program_text(instances.values()).encode(), options, binary=False)

    described = []
    for alone in nodes:
        general = alone.general
        specials = list(embedded(alone.special.plan, plan))
        texts = [plan_to_json(special) for special in specials]
        general_text = plan_to_json(general.plan) if general else b""
        pieces += [*texts, alone.special.constants]
        if general:
            pieces += [general_text, general.constants]
        described.append(
            {
                "name": f"{alone.node.op} {alone.node.name or alone.node.outputs[0]}",
                "specials": [len(text) for text in texts],
                "general": len(general_text),
                "programs": [[units.index(u) for u in special.units] for special in specials],
                "layouts": {n: [layout.block, layout.last] for n, layout in alone.layouts.items()},
                "types": {n: [t.dtype.value, list(t.dims)] for n, t in alone.types.items()},
                "jumps": alone.jumps,
            }
        )
    return OtherJob({"programs": programs, "nodes": described}, b"".join(memoryview(p).cast("B") for p in pieces))

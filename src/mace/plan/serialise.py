"""A plan as JSON and back: compact lists, so that reading one at a warm start takes about a millisecond."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mace.errors import ProgramFormatError
from mace.plan.plan import (
    PLAN_VERSION,
    TEXEL_BYTES,
    HostStep,
    KernelSpec,
    Launch,
    LaunchArg,
    LocalArg,
    Part,
    Place,
    Plan,
    Pool,
    Region,
    ScalarArg,
    Step,
)
from mace.tensor import DType, TensorType

_POOLS: dict[Pool, str] = {"arena": "a", "constants": "c", "counters": "n"}
_POOL_OF = {letter: pool for pool, letter in _POOLS.items()}


def _region(r: Region) -> list[Any]:
    return [_POOLS[r.pool], r.offset, r.nbytes, *([list(r.image)] if r.image else [])]


def _arg(a: LaunchArg) -> list[Any]:
    match a:
        case Region():
            return _region(a)
        case LocalArg(nbytes):
            return ["l", nbytes]
        case ScalarArg(value, dtype):
            return ["s", value, dtype.value]


def _type(t: TensorType | None) -> list[Any] | None:
    return None if t is None else [t.dtype.value, None if t.shape is None else list(t.shape)]


def _place(p: Place | None) -> list[Any] | None:
    if p is None:
        return None
    region = None if p.region is None else _region(p.region)
    return [p.name, _type(p.type), region, *([[list(use) for use in p.uses]] if p.uses else [])]


def _step(s: Step) -> list[Any]:
    if isinstance(s, Launch):
        local = None if s.local_size is None else list(s.local_size)
        return [
            "L",
            s.kernel,
            [_arg(a) for a in s.args],
            list(s.global_size),
            local,
            s.node,
            s.op,
            s.flops,
            s.nbytes,
            s.tuning_key,
        ]
    return ["H", s.node, [_place(p) for p in s.inputs], [_place(p) for p in s.outputs], s.touches_float]


def plan_to_json(plan: Plan) -> bytes:
    """The plan as canonical JSON: equal plans give equal bytes."""
    data = {
        "version": PLAN_VERSION,
        "inputs": [_place(p) for p in plan.inputs],
        "outputs": [_place(p) for p in plan.outputs],
        "steps": [_step(s) for s in plan.steps],
        "kernels": [
            [k.name, k.template, k.unit, *([[list(p) for p in k.parts]] if k.parts else [])] for k in plan.kernels
        ],
        "units": list(plan.units),
        "build_options": plan.build_options,
        "arena_bytes": plan.arena_bytes,
        "peak_live_bytes": plan.peak_live_bytes,
        "constants_key": plan.constants_key,
        "constants_bytes": plan.constants_bytes,
        "counters_bytes": plan.counters_bytes,
        "host_values": dict(plan.host_values),
        "rest": plan.rest,
        "notes": dict(plan.notes),
    }
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


class _Reader:
    """Rebuilds a plan, checking every region against the sizes it must lie in."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.launches = [s for s in data["steps"] if s[0] == "L"]
        self.limits = {letter: int(data[f"{pool}_bytes"]) for letter, pool in _POOL_OF.items()}

    def region(self, r: list[Any]) -> Region:
        pool, offset, nbytes = r[0], int(r[1]), int(r[2])
        if pool not in self.limits or offset < 0 or nbytes < 0 or offset + nbytes > self.limits[pool]:
            raise ValueError(f"region {r} lies outside its pool")
        if len(r) == 3:
            return Region(_POOL_OF[pool], offset, nbytes)
        width, height = (int(n) for n in r[3])
        if pool != "c" or min(width, height) < 1 or width * height * TEXEL_BYTES != nbytes:
            raise ValueError(f"region {r} holds no image")
        return Region("constants", offset, nbytes, (width, height))

    def arg(self, a: list[Any]) -> LaunchArg:
        if a[0] == "l":
            return LocalArg(int(a[1]))
        if a[0] == "s":
            return ScalarArg(a[1], DType(a[2]))
        return self.region(a)

    def type(self, t: list[Any] | None) -> TensorType | None:
        return None if t is None else TensorType(DType(t[0]), None if t[1] is None else tuple(t[1]))

    def place(self, p: list[Any] | None) -> Place | None:
        return None if p is None else Place(str(p[0]), self.type(p[1]), None if p[2] is None else self.region(p[2]))

    def port(self, p: list[Any]) -> Place:
        """An input or output: a place with its uses, each an argument of a launch that has a region there."""
        place = self.known_place(p)
        uses = tuple((int(launch), int(argument)) for launch, argument in (p[3] if len(p) > 3 else ()))
        for launch, argument in uses:
            args = self.launches[launch][2]
            if min(launch, argument) < 0 or place.region is None or args[argument] != _region(place.region):
                raise ValueError(f"argument {argument} of launch {launch} is not what {place.name} lies in")
        return place._replace(uses=uses)

    def known_place(self, p: list[Any]) -> Place:
        place = self.place(p)
        if place is None:
            raise ValueError("an input or output has no place")
        return place

    def step(self, s: list[Any]) -> Step:
        if s[0] == "H":
            return HostStep(s[1], tuple(self.place(p) for p in s[2]), tuple(self.place(p) for p in s[3]), bool(s[4]))
        _, kernel, args, global_size, local, node, op, flops, nbytes, key = s
        if not 0 <= kernel < len(self.data["kernels"]):
            raise ValueError(f"a launch names kernel {kernel} of {len(self.data['kernels'])}")
        local_size = None if local is None else tuple(local)
        return Launch(
            kernel, tuple(self.arg(a) for a in args), tuple(global_size), local_size, node, op, flops, nbytes, key
        )

    def kernel(self, name: str, template: str, unit: int, parts: Sequence[Any] = ()) -> KernelSpec:
        made = (Part(str(part), int(arguments), int(items)) for part, arguments, items in parts)
        return KernelSpec(str(name), str(template), int(unit), tuple(made))

    def plan(self) -> Plan:
        d = self.data
        kernels = tuple(self.kernel(*k) for k in d["kernels"])
        if any(not 0 <= k.unit < len(d["units"]) for k in kernels):
            raise ValueError("a kernel names a program unit that does not exist")
        return Plan(
            inputs=tuple(self.port(p) for p in d["inputs"]),
            outputs=tuple(self.port(p) for p in d["outputs"]),
            steps=tuple(self.step(s) for s in d["steps"]),
            kernels=kernels,
            units=tuple(d["units"]),
            build_options=str(d["build_options"]),
            arena_bytes=int(d["arena_bytes"]),
            peak_live_bytes=int(d["peak_live_bytes"]),
            constants_key=str(d["constants_key"]),
            constants_bytes=int(d["constants_bytes"]),
            counters_bytes=int(d["counters_bytes"]),
            host_values=d["host_values"],
            rest=bool(d["rest"]),
            notes=d["notes"],
        )


def plan_from_json(data: bytes | memoryview) -> Plan:
    """The plan that :func:`plan_to_json` wrote. Raises ``ProgramFormatError`` when it is none."""
    try:
        parsed = json.loads(bytes(data))
        if not isinstance(parsed, dict) or parsed.get("version") != PLAN_VERSION:
            raise ValueError(
                f"plan version {parsed.get('version') if isinstance(parsed, dict) else None!r}, expected {PLAN_VERSION}"
            )
        return _Reader(parsed).plan()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ProgramFormatError(f"the stored plan cannot be read: {error}", field="plan") from error

"""Worker process that runs nodes of a plan and their general variants on the same numbers, and says how far they are apart
(``python -m mace.engine.compare_worker``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mace.execution.executor import Executor
from mace.opencl.context import Context
from mace.opencl.jobs import Done
from mace.opencl.kernel import Program
from mace.opencl.worker import Do, Stage, main
from mace.ops.lowering import Layout
from mace.plan.alone import from_layout, to_layout
from mace.plan.plan import Plan
from mace.plan.serialise import plan_from_json
from mace.tensor import Array, DType, TensorType

TOLERANCES = {DType.FLOAT16: 4e-3, DType.BFLOAT16: 3e-2}
TOLERANCE = 1e-3
"""Largest difference of an element, as a share of the range of the general variant's result. Winograd and sums in another
order stay below a tenth of it; results in 16 bits differ by roundings."""
JUMPING_SHARE = 1e-3
"""Share of elements that may be off where the result jumps: a rounding before a jump can go either way."""
SEED = 20261125


class _Comparer:
    def __init__(self, context: Context, stage: Stage) -> None:
        self._context, self._stage = context, stage

    def do(self, header: Mapping[str, Any], payload: bytes) -> Done:
        """Build the programs, then run node after node; the answer lists for each what is wrong, or nothing, of every
        kernel that does the same."""
        began = time.perf_counter()
        pieces = _Pieces(payload)
        programs = [self._program(p, pieces) for p in header["programs"]]
        built = time.perf_counter()
        verdicts = [self._compare(node, programs, pieces) for node in header["nodes"]]
        answer = json.dumps(verdicts).encode()
        return Done(answer, "", built - began, 0.0, time.perf_counter() - built)

    def _program(self, data: Mapping[str, Any], pieces: _Pieces) -> Program:
        self._stage(f"building the {data['what']}")
        content = pieces.take(data["nbytes"])
        if data["binary"]:
            return self._context.build_from_binary(content, data["options"])
        return self._context.build_from_source(bytes(content).decode(), data["options"])

    def _compare(self, node: Mapping[str, Any], programs: list[Program], pieces: _Pieces) -> list[str]:
        specials = [plan_from_json(pieces.take(size)) for size in node["specials"]]
        special = specials[0]
        constants = pieces.take_array(special.constants_bytes)
        general = plan_from_json(pieces.take(node["general"])) if node["general"] else None
        general_constants = pieces.take_array(general.constants_bytes if general else 0)
        layouts = {name: Layout(*layout) for name, layout in node["layouts"].items()}
        types = {name: TensorType(DType(dtype), tuple(dims)) for name, (dtype, dims) in node["types"].items()}
        feeds = _feeds([(p.name, types[p.name]) for p in special.inputs])
        stored = {n: to_layout(v, layouts[n]) if n in layouts else v for n, v in feeds.items()}
        self._stage(f"running {node['name']}")
        runs = zip(specials, node["programs"], strict=True)
        found = [self._run(plan, programs, numbers, constants, stored) for plan, numbers in runs]
        if general is None:
            wanted = {special.outputs[0].name: feeds[special.inputs[0].name]}
        else:
            self._stage(f"running the general variant of {node['name']}")
            wanted = self._run(general, programs, [len(programs) - 1], general_constants, feeds)

        def problem(got: Mapping[str, Array]) -> str:
            for name, stored_result in got.items():
                if name in layouts:
                    stored_result = from_layout(stored_result, layouts[name], types[name].dims)
                if wrong := difference(stored_result, wanted[name], jumps=node["jumps"]):
                    return wrong
            return ""

        return [problem(got) for got in found]

    def _run(
        self,
        plan: Plan,
        programs: list[Program],
        numbers: list[int],
        constants: Array,
        feeds: Mapping[str, Array],
    ) -> dict[str, Array]:
        return Executor(plan, self._context, [programs[n] for n in numbers], constants).run(feeds)


class _Pieces:
    """A payload, taken piece by piece."""

    def __init__(self, payload: bytes) -> None:
        self._rest = memoryview(payload)

    def take(self, nbytes: int) -> memoryview:
        piece, self._rest = self._rest[:nbytes], self._rest[nbytes:]
        return piece

    def take_array(self, nbytes: int) -> Array:
        """A copy of its own, which lies as memory of a device must."""
        return np.frombuffer(self.take(nbytes), np.uint8).copy()


def _feeds(types: list[tuple[str, TensorType]]) -> dict[str, Array]:
    """Standard normal numbers, any byte, and for wider integers 0 and 1, which may be positions (0 where an axis has but one)."""
    rng = np.random.default_rng(SEED)
    smallest = min((d for _, t in types for d in t.dims), default=1)
    feeds: dict[str, Array] = {}
    for name, kind in types:
        dtype = kind.dtype.numpy
        if kind.dtype in (DType.INT8, DType.UINT8):
            feeds[name] = rng.integers(-128 if kind.dtype is DType.INT8 else 0, 128, kind.dims).astype(dtype)
        elif kind.dtype.is_float:
            feeds[name] = rng.standard_normal(kind.dims).astype(dtype)
        else:
            feeds[name] = rng.integers(0, 2 if smallest > 1 or kind.dtype is DType.BOOL else 1, kind.dims).astype(dtype)
    return feeds


def difference(got: Array, wanted: Array, *, jumps: bool = False) -> str:
    """In which way a result is not what the general variant computes; empty when it is."""
    tolerance = TOLERANCES.get(DType.of(got.dtype), TOLERANCE)
    mine, other = got.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(other)
    spread = float(np.ptp(other[finite])) if finite.any() else 0.0
    scale = spread or float(np.abs(other[finite]).max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore"):
        error = np.abs(mine - other)
        off = np.where(finite, ~(error <= tolerance * scale), ~((mine == other) | (np.isnan(mine) & np.isnan(other))))
    count = int(np.count_nonzero(off))
    if count <= (JUMPING_SHARE * off.size if jumps else 0):
        return ""
    worst = float(np.nanmax(np.where(np.isfinite(error), error, 0.0))) / scale
    return f"{count} of {off.size} numbers are off, by up to {worst:.2g} of the range"


def make(context: Context, stage: Stage) -> Do:
    """What does the jobs of this worker."""
    return _Comparer(context, stage).do


if __name__ == "__main__":
    main(make)

"""A stage: a graph with one prepared plan per set of input shapes, and the stage that follows where shapes wait for data.

Most models are one stage with one plan. A model whose shapes depend on data (NonZero, NonMaxSuppression) is cut where they
become known: the stage's ``rest`` is planned with the shapes that the first part's results turned out to have. A loop that
the device should run is a cut too (``turns``).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mace.plan.plan import NOTHING
from mace.tensor import Array, DType, TensorType

if TYPE_CHECKING:
    from mace.engine.preparation import Preparation
    from mace.engine.turns import AnyStage
    from mace.execution.executor import Executor
    from mace.graph.ir import Graph
    from mace.plan.plan import Plan

MAX_PLANS = 16
"""Plans kept ready per stage; the one used longest ago goes first."""


class Binding(NamedTuple):
    """What a graph is bound to for a plan: the types of its inputs, and the values of those that decide shapes."""

    types: dict[str, TensorType]
    values: dict[str, Array]


class BoundPlan(NamedTuple):
    """A plan, and the graph it was made for."""

    plan: Plan
    graph: Callable[[], Graph]


class _Ready(NamedTuple):
    executor: Executor
    rest: AnyStage | None
    binding: Binding


class Stage:
    """Runs a graph, planning it anew for each set of input shapes it meets. Safe to call from several threads.

    ``graph`` is only called when something has to be planned: a warm start never reads it. ``deciding`` names the inputs
    whose values decide shapes; they are bound as constants, so each of their values has a plan of its own. ``in_loop`` is what
    ``turns.stage_of`` says of it.
    """

    def __init__(
        self,
        key: str,
        inputs: Mapping[str, TensorType],
        outputs: tuple[str, ...],
        deciding: frozenset[str],
        graph: Callable[[], Graph],
        preparation: Preparation,
        *,
        in_loop: bool = False,
    ) -> None:
        self.in_loop = in_loop
        self.key, self.inputs, self.outputs, self.deciding = key, inputs, outputs, deciding
        self._graph, self._preparation = graph, preparation
        self._ready: OrderedDict[str, _Ready] = OrderedDict()
        self._keys: dict[tuple[Any, ...], str] = {}
        """Shapes and element types met before → the key of their plan, which takes longer to compute than to look up."""
        self._lock = threading.Lock()

    def run(
        self, feeds: Mapping[str, Any], *, resident: Container[str] = (), into: Mapping[str, Array] = NOTHING
    ) -> dict[str, Any]:
        """Outputs by name for checked feeds; ``resident`` and ``into`` are those of ``Executor.run``."""
        if self.deciding:  # their values are looked at here
            feeds = {n: np.asarray(v) if n in self.deciding and _is_tensor(v) else v for n, v in feeds.items()}
        ready = self.prepare(feeds)
        if ready.rest is None:
            return ready.executor.run(feeds, resident=resident, into=into)
        results = ready.executor.run(feeds)
        known = {**feeds, **results}
        results |= ready.rest.run({n: known[n] for n in ready.rest.inputs})
        for name in into:
            np.copyto(into[name], results[name])
        return {o: into[o] if o in into else results[o] for o in self.outputs}

    def prepare(self, feeds: Mapping[str, Any]) -> _Ready:
        """The plan for the shapes (and deciding values) of these feeds, ready to run."""
        key = self._plan_key(feeds)
        with self._lock:
            ready = self._ready.get(key)
            if ready is None:
                ready = self._ready[key] = self._make(key, feeds)
                while len(self._ready) > MAX_PLANS:
                    self._ready.popitem(last=False)
            else:
                self._ready.move_to_end(key)
            return ready

    def look_ahead(self) -> None:
        """Look for the stored plan of the only shapes there can be, before anything is fed."""
        if not self.deciding and all(t.is_static for t in self.inputs.values()):
            types = {name: f"{t.dtype}{t.dims}" for name, t in self.inputs.items()}
            self._preparation.look_ahead(self._key_of(types, {}))

    def forget(self) -> None:
        """Drop every prepared plan, so that the next run plans anew (after tuning)."""
        with self._lock:
            self._ready.clear()

    def executors(self) -> list[Executor]:
        """The executors prepared so far, the rest's included."""
        with self._lock:
            ready = list(self._ready.values())
        return [e for r in ready for e in (r.executor, *(r.rest.executors() if r.rest else ()))]

    def plans(self) -> list[BoundPlan]:
        """The plans prepared so far, the rest's included."""
        with self._lock:
            ready = list(self._ready.values())
        own = [BoundPlan(r.executor.plan, partial(self._bound, r.binding)) for r in ready]
        return [*own, *(p for r in ready if r.rest for p in r.rest.plans())]

    def renew(self) -> None:
        """Prepare again what is prepared: there are kernels to do without that there were not."""
        with self._lock:
            for key, ready in self._ready.items():
                replace = partial(self._replace, key)
                executor, _ = self._preparation.prepare(key, self._graph, *ready.binding, replace)
                self._ready[key] = ready._replace(executor=executor)
                if ready.rest is not None:
                    ready.rest.renew()

    def _plan_key(self, feeds: Mapping[str, Any]) -> str:
        """What tells one plan of this stage from another: shapes, and the bytes of deciding values."""
        usual = None
        if not self.deciding:
            with suppress(AttributeError):  # not all of them are arrays
                usual = tuple([(feeds[n].shape, feeds[n].dtype) for n in self.inputs])
                if usual in self._keys:
                    return self._keys[usual]
        key = self._key_of({n: _describe(feeds[n]) for n in self.inputs}, feeds)
        if usual is not None:
            self._keys[usual] = key
        return key

    def _key_of(self, types: Mapping[str, str], feeds: Mapping[str, Any]) -> str:
        digest = hashlib.sha256(self.key.encode())
        for name in self.inputs:
            digest.update(f"\0{name}:{types[name]}".encode())
            if name in self.deciding and isinstance(feeds[name], np.ndarray):
                digest.update(feeds[name].tobytes())
        return digest.hexdigest()

    def bind(self, feeds: Mapping[str, Any]) -> Graph:
        """The graph as it is planned for these feeds."""
        return self._bound(self._binding(feeds))

    def _bound(self, binding: Binding) -> Graph:
        from mace.engine.binding import bind

        return bind(self._graph(), *binding)

    def _binding(self, feeds: Mapping[str, Any]) -> Binding:
        types = {n: _type_of(feeds[n], t) for n, t in self.inputs.items()}
        values = {n: feeds[n] for n in self.inputs if n in self.deciding and isinstance(feeds[n], np.ndarray)}
        return Binding(types, values)

    def _replace(self, key: str, old: Executor, new: Executor) -> None:
        """Have one executor take the place of another from the next run on, unless that is gone by now."""
        with self._lock:
            ready = self._ready.get(key)
            if ready is not None and ready.executor is old:
                self._ready[key] = ready._replace(executor=new)

    def _make(self, key: str, feeds: Mapping[str, Any]) -> _Ready:
        binding = self._binding(feeds)
        executor, rest = self._preparation.prepare(key, self._graph, *binding, partial(self._replace, key))
        if rest is None:
            return _Ready(executor, None, binding)
        from mace.engine.turns import stage_of

        return _Ready(executor, stage_of(f"{key}/rest", rest, self._preparation, in_loop=self.in_loop), binding)


def _describe(value: Any) -> str:
    if _is_tensor(value):
        return f"{DType.of(value.dtype)}{value.shape}"
    if isinstance(value, list):
        return f"sequence[{','.join(_describe(v) for v in value)}]"
    return "none"


def _type_of(value: Any, declared: TensorType) -> TensorType:
    """The type of a fed value; a sequence or a missing optional keeps what the model declares."""
    return TensorType(DType.of(value.dtype), value.shape) if _is_tensor(value) else declared


def _is_tensor(value: Any) -> bool:
    """Whether it is an array or a tensor on the device, and not a sequence or a missing optional."""
    return value is not None and not isinstance(value, list)

"""Tunable launches: which parameters a variant may be built with, and which it is built with when nobody has tuned it.

A variant describes its launch as a *problem* (all numbers that the best choice depends on) and asks :func:`choose`
for the parameters. A tuner collects ``KernelCall.tuning_key`` of a plan, measures candidates by lowering the same node
again with tunings that answer with the candidate, and keeps the best under the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from mace.device import DeviceTraits
from mace.ops.lowering import LowerContext

Problem: TypeAlias = Mapping[str, int]
Params: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters a variant may take. ``candidates`` yields only what is right and fits the device."""

    name: str
    candidates: Callable[[Problem, DeviceTraits], Iterable[Params]]
    cost: Callable[[Params, Problem, DeviceTraits], float]
    """Estimated time in cycles of one core: only the order it gives matters."""

    def ranked(self, problem: Problem, device: DeviceTraits) -> list[Params]:
        """All candidates, the most promising first; the first is the default."""
        return sorted(self.candidates(problem, device), key=lambda p: self.cost(p, problem, device))

    def default(self, problem: Problem, device: DeviceTraits) -> Params | None:
        """The candidate of least estimated cost, or None when the problem has no candidate at all."""
        return _default(self, tuple(problem.items()), device)


@lru_cache(maxsize=1024)
def _default(space: Space, problem: tuple[tuple[str, int], ...], device: DeviceTraits) -> Params | None:
    """Networks repeat their problems, and a node is lowered several times while layouts are found."""
    numbers = dict(problem)
    return min(space.candidates(numbers, device), key=lambda p: space.cost(p, numbers, device), default=None)


SPACES: dict[str, Space] = {}


def register(space: Space) -> Space:
    """Make a space known by its name."""
    if space.name in SPACES:
        raise ValueError(f"two spaces are called {space.name}")
    SPACES[space.name] = space
    return space


def choose(space: Space, problem: Problem, ctx: LowerContext) -> Params | None:
    """Tuned parameters if there are any, else the default; None when the variant cannot run the problem.

    Tuned parameters come from files: only those that the space itself would propose are taken.
    """
    tuned = ctx.tunings.lookup(space.name, problem) if ctx.tunings else None
    if tuned is not None and any(dict(tuned) == dict(c) for c in space.candidates(problem, ctx.device)):
        return tuned
    return space.default(problem, ctx.device)


def tuning_key(space: Space, problem: Problem) -> str:
    """Text that names a problem, such as ``conv_blocked c=64 ih=56``; :func:`parse_key` reads it."""
    return " ".join([space.name, *(f"{k}={v}" for k, v in sorted(problem.items()))])


def parse_key(key: str) -> tuple[Space, dict[str, int]]:
    """The inverse of :func:`tuning_key`. Raises ``ValueError`` for text it cannot have made, or an unknown space."""
    name, *pairs = key.split(" ")
    if name not in SPACES:
        raise ValueError(f"no tuning space is called '{name}'")
    return SPACES[name], {k: int(v) for k, _, v in (p.partition("=") for p in pairs)}


SEPARATOR = "; "
"""Between the keys of a launch that several choices led to, such as an algorithm and then its tile."""


def split_keys(keys: str) -> list[str]:
    """The key of every choice behind a launch, the outermost first."""
    return keys.split(SEPARATOR) if keys else []

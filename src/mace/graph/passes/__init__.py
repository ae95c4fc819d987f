"""Rewritings of a graph, one per module, and the order they run in."""

from __future__ import annotations

from mace.graph.passes.fold_affine import fold_affine
from mace.graph.passes.fold_constants import fold_constants
from mace.graph.passes.fuse_pointwise import fuse_pointwise
from mace.graph.passes.fuse_tail import fuse_tail
from mace.graph.passes.remove_dead import remove_dead
from mace.graph.passes.remove_noops import remove_noops
from mace.graph.passes.runner import run_passes
from mace.graph.passes.semantics import Pass, Semantics


def standard_passes(semantics: Semantics) -> tuple[tuple[str, Pass], ...]:
    """Every pass with its name, in order."""
    return (
        ("fold_constants", fold_constants(semantics)),
        ("remove_noops", remove_noops),
        ("fold_affine", fold_affine),
        ("fuse_tail", fuse_tail),
        ("fuse_pointwise", fuse_pointwise),
        ("remove_dead", remove_dead),
    )


__all__ = ["Pass", "Semantics", "run_passes", "standard_passes"]

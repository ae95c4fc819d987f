"""Rewritings of a graph, one per module, and the order they run in.

Every pass returns a graph that computes the same outputs. All are safe with symbolic dimensions, leave what subgraphs
capture in place, and may run again on their own result.
"""

from __future__ import annotations

from mace.graph.passes.expand_einsum import expand_einsum
from mace.graph.passes.expand_fourier import expand_fourier
from mace.graph.passes.fold_affine import fold_affine
from mace.graph.passes.fold_constants import fold_constants, infer_types
from mace.graph.passes.fold_pads import fold_pads
from mace.graph.passes.fuse_pointwise import fuse_pointwise
from mace.graph.passes.fuse_tail import fuse_tail
from mace.graph.passes.hoist_constants import hoist_constants
from mace.graph.passes.inline_branches import inline_branches
from mace.graph.passes.merge_reshapes import merge_reshapes
from mace.graph.passes.merge_slices import merge_slices
from mace.graph.passes.merge_transposes import merge_transposes
from mace.graph.passes.recognise_gelu import recognise_gelu
from mace.graph.passes.recognise_norm import recognise_norm
from mace.graph.passes.recognise_softmax import recognise_softmax
from mace.graph.passes.remove_dead import remove_dead
from mace.graph.passes.remove_noops import remove_noops
from mace.graph.passes.runner import run_passes
from mace.graph.passes.semantics import Pass, Semantics
from mace.graph.passes.share_common import share_common
from mace.graph.passes.unroll_loops import unroll_loops


def standard_passes(semantics: Semantics) -> tuple[tuple[str, Pass], ...]:
    """Every pass with its name, in order."""
    fold = fold_constants(semantics)
    return (
        ("fold_constants", fold),
        ("inline_branches", inline_branches),
        ("hoist_constants", hoist_constants),
        ("unroll_loops", unroll_loops),
        ("expand_einsum", expand_einsum),
        ("expand_fourier", expand_fourier),
        ("remove_noops", remove_noops),
        ("share_common", share_common),
        ("merge_transposes", merge_transposes),
        ("merge_reshapes", merge_reshapes),
        ("merge_slices", merge_slices),
        ("fold_constants_again", fold),
        ("inline_branches_again", inline_branches),
        ("recognise_norm", recognise_norm),
        ("recognise_gelu", recognise_gelu),
        ("recognise_softmax", recognise_softmax),
        ("fold_pads", fold_pads),
        ("fold_affine", fold_affine),
        ("remove_noops_again", remove_noops),
        ("remove_dead", remove_dead),
        ("fuse_tail", fuse_tail),
        ("fuse_pointwise", fuse_pointwise),
        ("infer_types", infer_types(semantics)),
        ("remove_dead_again", remove_dead),
    )


__all__ = ["Pass", "Semantics", "run_passes", "standard_passes"]

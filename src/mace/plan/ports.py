"""Inputs and outputs whose memory other memory can stand in for: a caller's array, or another engine's result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mace.ops.lowering import Read, Write
from mace.plan.aliases import Aliases
from mace.plan.chain import first_argument
from mace.plan.schedule import Stage


@dataclass(slots=True)
class _Memory:
    """What happens to the memory of one root."""

    uses: list[tuple[int, int]]
    whole: bool = True
    """Whether every use is of all of it."""
    written: bool = False


def whole_uses(
    launches: Iterable[Sequence[Stage]], aliases: Aliases, inputs: Iterable[str], outputs: Sequence[str]
) -> dict[str, tuple[tuple[int, int], ...]]:
    """Input or output value → every (launch, argument) that is given its memory. ``launches`` are the stages of each.

    Left out are values of whose memory only a part is used somewhere, those that a host step touches, that are another input
    or output as well, and inputs that something is written over.
    """
    found: dict[str, _Memory] = defaultdict(lambda: _Memory([]))
    launch = 0
    for chain in launches:
        if (host := chain[0].host) is not None:
            for value in (*host.reads(), *(o for o in host.outputs if o)):
                found[aliases.slot(value).root].whole = False
            continue
        for number, arg in enumerate((a for stage in chain for _, a in stage.arguments()), first_argument(chain)):
            if isinstance(arg, Read | Write):
                slot = aliases.slot(arg.value)
                memory = found[slot.root]
                memory.uses.append((launch, number))
                memory.whole &= slot.offset == 0 and aliases.nbytes(arg.value) == aliases.nbytes(slot.root)
                memory.written |= isinstance(arg, Write)
        launch += 1
    inputs = list(inputs)
    roots = [aliases.slot(v).root for v in (*inputs, *outputs)]
    return {
        value: tuple(found[root].uses)
        for value, root in zip((*inputs, *outputs), roots, strict=True)
        if root in found
        and found[root].whole
        and roots.count(root) == 1
        and aliases.nbytes(value) == aliases.nbytes(root)
        and not (value in inputs and found[root].written)
    }

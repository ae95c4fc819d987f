"""Replaces an If whose condition is known by the branch that is taken."""

from __future__ import annotations

from mace.graph.ir import Graph, Node
from mace.graph.passes.rename import renamed_captures
from mace.graph.subgraphs import map_subgraphs


def inline_branches(graph: Graph) -> Graph:
    """The taken branch's nodes move to where the If stood; its own names get new ones where they are taken."""
    names = graph.names()
    constants, types = dict(graph.constants), dict(graph.types)
    nodes: list[Node] = []
    changed = False
    for node in graph.nodes:
        node = map_subgraphs(node, inline_branches)
        condition = graph.constants.get(node.input(0)) if node.op == "If" and not node.domain else None
        branch = (
            None if condition is None else node.attrs.get("then_branch" if condition.reshape(-1)[0] else "else_branch")
        )
        if not isinstance(branch, Graph):
            nodes.append(node)
            continue
        changed = True
        moved = with_own_names(branch, names)
        nodes.extend(moved.nodes)
        constants.update(moved.constants)
        types.update(moved.types)
        nodes.extend(
            Node("Identity", (inner,), (outer,))
            for inner, outer in zip(moved.outputs, node.outputs, strict=True)
            if outer
        )
    return (
        graph.with_(nodes=tuple(nodes), constants=constants, types=types)
        if changed
        else graph.with_(nodes=tuple(nodes))
    )


def with_own_names(graph: Graph, taken: set[str]) -> Graph:
    """The graph with every name it defines (inputs excepted) replaced where ``taken`` has it; new ones are added there."""
    names: dict[str, str] = {}
    for name in [*graph.constants, *(o for n in graph.nodes for o in n.outputs if o)]:
        new, i = name, 1
        while new in taken:
            new, i = f"{name}_{i}", i + 1
        taken.add(new)
        if new != name:
            names[name] = new
    if not names:
        return graph

    def body(inner: Graph) -> Graph:
        return renamed_captures(inner, names)

    nodes = tuple(
        map_subgraphs(n, body).with_(
            inputs=tuple(names.get(i, i) for i in n.inputs), outputs=tuple(names.get(o, o) for o in n.outputs)
        )
        for n in graph.nodes
    )
    return graph.with_(
        nodes=nodes,
        outputs=tuple(names.get(o, o) for o in graph.outputs),
        constants={names.get(k, k): v for k, v in graph.constants.items()},
        types={names.get(k, k): t for k, t in graph.types.items()},
    )

"""Older forms of operators that move data or take shapes."""

from __future__ import annotations

import numpy as np

from mace.conversion.rewriting import Rewriting, Rule, attribute_to_input, without
from mace.graph.ir import Node


def _renamed_paddings(node: Node, around: Rewriting) -> list[Node]:
    """Opset 1: the attribute was called ``paddings``."""
    return (
        [node.with_(attrs={**without(node, "paddings"), "pads": node.ints("paddings")})]
        if "paddings" in node.attrs
        else [node]
    )


def _pad_operands(node: Node, around: Rewriting) -> list[Node]:
    """Opset 10: amounts and value are attributes."""
    pads = around.constant(f"{node.outputs[0]}_pads", node.ints("pads"))
    inputs = [node.inputs[0], pads]
    if node.float("value", 0.0) != 0.0 and node.str("mode", "constant") == "constant":
        inputs.append(
            around.constant(f"{node.outputs[0]}_value", node.float("value", 0.0), around.float_type(node.inputs[0]))
        )
    return [node.with_(inputs=tuple(inputs), attrs=without(node, "pads", "value"))]


def _slice_operands(node: Node, around: Rewriting) -> list[Node]:
    """Opset 9: bounds and axes are attributes."""
    out = node.outputs[0]
    names = [around.constant(f"{out}_{k}", node.ints(k)) for k in ("starts", "ends", "axes") if k in node.attrs]
    return [node.with_(inputs=(node.inputs[0], *names), attrs=without(node, "starts", "ends", "axes"))]


def _split_count(node: Node, around: Rewriting) -> list[Node]:
    """Opset 17: without sizes the outputs share the axis evenly, which newer opsets want said."""
    if node.input(1) or "num_outputs" in node.attrs:
        return [node]
    return [node.with_(attrs={**node.attrs, "num_outputs": len(node.outputs)})]


def _tile_axis(node: Node, around: Rewriting) -> list[Node]:
    """Opset 1: a count of tiles along one axis."""
    if len(node.inputs) < 3:
        return [node]
    tiles, axis = (around.constants.get(n) for n in node.inputs[1:3])
    rank = around.rank(node.inputs[0])
    if tiles is None or axis is None or rank is None:
        raise around.refuse(node, "tiles along an axis that is not constant")
    repeats = np.ones(rank, np.int64)
    repeats[int(axis.reshape(-1)[0])] = int(tiles.reshape(-1)[0])
    return [node.with_(inputs=(node.inputs[0], around.constant(f"{node.outputs[0]}_repeats", repeats)))]


def _concat_axis(node: Node, around: Rewriting) -> list[Node]:
    """Opset 3: the axis may be left out, meaning 1."""
    return [node.with_(attrs={"axis": 1, **node.attrs})]


def _scatter(node: Node, around: Rewriting) -> list[Node]:
    """Scatter was renamed."""
    return [node.with_(op="ScatterElements")]


def _upsample_1(node: Node, around: Rewriting) -> list[Node]:
    """Opset 6: one factor for height, one for width."""
    if "scales" in node.attrs:
        return [node]
    scales = (1.0, 1.0, node.float("height_scale", 1.0), node.float("width_scale", 1.0))
    return [node.with_(attrs={**without(node, "height_scale", "width_scale"), "scales": scales})]


def _upsample(node: Node, around: Rewriting) -> list[Node]:
    """Upsample became Resize: coordinates are scaled as they are and rounded down."""
    return _resize_10(node.with_(op="Resize"), around)


def _resize_10(node: Node, around: Rewriting) -> list[Node]:
    """Opset 10: scales are the second input; coordinates are asymmetric, the nearest is the one below."""
    attrs = {"mode": node.str("mode", "nearest"), "coordinate_transformation_mode": "asymmetric"}
    if attrs["mode"] == "bilinear":
        attrs["mode"] = "linear"
    if attrs["mode"] == "nearest":
        attrs["nearest_mode"] = "floor"
    return [node.with_(inputs=(node.inputs[0], "", node.inputs[1]), attrs=attrs)]


def _resize_without_tf_crop(node: Node, around: Rewriting) -> list[Node]:
    """Opset 12: ``tf_half_pixel_for_nn`` is half_pixel without the shift by a half, of which nothing newer is left."""
    if node.str("coordinate_transformation_mode", "half_pixel") == "tf_half_pixel_for_nn":
        if node.str("nearest_mode", "round_prefer_floor") == "floor" and node.str("mode", "nearest") == "nearest":
            # floor((i + 0.5) / scale) equals half_pixel rounded with ties upwards: floor((i + 0.5) / scale - 0.5 + 0.5)
            mode = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_ceil"}
            return [node.with_(attrs={**node.attrs, **mode})]
        raise around.refuse(node, "the coordinate mode tf_half_pixel_for_nn is only known with nearest_mode floor")
    empty = [i for i in (1, 2) if _is_empty(node.input(i), around)]
    inputs = ["" if i in empty else n for i, n in enumerate(node.inputs)]
    while inputs and not inputs[-1]:
        inputs.pop()
    return [node.with_(inputs=tuple(inputs))]


def _is_empty(name: str, around: Rewriting) -> bool:
    """Opsets 11 and 12 could not leave roi and scales out: an empty tensor stood for that."""
    array = around.constants.get(name)
    return array is not None and array.size == 0


def _top_k(node: Node, around: Rewriting) -> list[Node]:
    """Opset 9: K is an attribute."""
    k = around.constant(f"{node.outputs[0]}_k", [node.int("k", 1)])
    return [node.with_(inputs=(node.inputs[0], k), attrs=without(node, "k"))]


def _dft_axis(node: Node, around: Rewriting) -> list[Node]:
    """Opset 19: the axis is an attribute."""
    axis = around.constant(f"{node.outputs[0]}_axis", node.int("axis", 1))
    return [node.with_(inputs=(node.inputs[0], node.input(1), axis), attrs=without(node, "axis"))]


def _grid_sample_mode(node: Node, around: Rewriting) -> list[Node]:
    """Opset 19: modes are named after two dimensions."""
    names = {"bilinear": "linear", "bicubic": "cubic"}
    mode = node.str("mode", "bilinear")
    return [node.with_(attrs={**node.attrs, "mode": names.get(mode, mode)})]


def _roi_align_mode(node: Node, around: Rewriting) -> list[Node]:
    """Opset 15: coordinates are not shifted by half a pixel."""
    return [node.with_(attrs={**node.attrs, "coordinate_transformation_mode": "output_half_pixel"})]


RULES: tuple[Rule, ...] = (
    Rule("Reshape", 5, attribute_to_input("shape", 1)),
    Rule("Squeeze", 13, attribute_to_input("axes", 1)),
    Rule("Unsqueeze", 13, attribute_to_input("axes", 1)),
    Rule("Pad", 2, _renamed_paddings),
    Rule("Pad", 11, _pad_operands),
    Rule("Slice", 10, _slice_operands),
    Rule("Split", 13, attribute_to_input("split", 1)),
    Rule("Split", 18, _split_count),
    Rule("Tile", 6, _tile_axis),
    Rule("Concat", 4, _concat_axis),
    Rule("Scatter", 99, _scatter),
    Rule("Upsample", 7, _upsample_1),
    Rule("Upsample", 9, attribute_to_input("scales", 1, np.float32)),
    Rule("Upsample", 99, _upsample),
    Rule("Resize", 11, _resize_10),
    Rule("Resize", 13, _resize_without_tf_crop),
    Rule("TopK", 10, _top_k),
    Rule("DFT", 20, _dft_axis),
    Rule("GridSample", 20, _grid_sample_mode),
    Rule("RoiAlign", 16, _roi_align_mode),
)

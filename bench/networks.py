"""Write the benchmark networks as ONNX files: real architectures, random weights from a fixed seed.

usage: python bench/networks.py OUTDIR [NAME …]      without names, all of them

MobileNet-v1 and -v2, ResNet-50 and a small vision transformer are built here node by node, as a framework exports them
when it folds nothing (batch normalisation stands alone, ReLU6 is a Clip, GELU is spelt out). The ``light_*`` networks
come with the onnx package; as shipped, all their weights are one constant and every output is 0.001, which would hide
any error, so they get random weights too, and no final softmax.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IMAGE = (1, 3, 224, 224)

FloatArray = npt.NDArray[np.float32]


class Builder:
    """Grows one ONNX graph: each method adds nodes to the value it is given and returns the name of the result."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def constant(self, array: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = f"c{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attrs: Any) -> list[str]:
        made = [f"v{len(self._nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), made, name=f"{op}_{len(self._nodes)}", **attrs))
        return made

    def op(self, op: str, *inputs: str, **attrs: Any) -> str:
        return self.node(op, *inputs, **attrs)[0]

    def conv(
        self, x: str, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, pad: int | None = None
    ) -> str:
        """Convolution without bias; He-normal weights keep the signal alive through the depth (He et al. 2015)."""
        shape = (cout, cin // groups, kernel, kernel)
        weight = self.random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        p = kernel // 2 if pad is None else pad
        attrs = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [p] * 4, "group": groups}
        return self.op("Conv", x, self.constant(weight), **attrs)

    def batch_norm(self, x: str, channels: int, gain: float = 1.0) -> str:
        uniform, normal = self.random.uniform, self.random.normal
        scale, bias = gain * uniform(0.8, 1.2, channels), normal(0, 0.1, channels)
        mean, var = normal(0, 0.1, channels), uniform(0.5, 1.5, channels)
        return self.op("BatchNormalization", x, *(self.constant(a) for a in (scale, bias, mean, var)), epsilon=1e-5)

    def conv_bn(
        self, x: str, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1, act: str = "relu6"
    ) -> str:
        """Convolution, batch normalisation, activation (``relu6``, ``relu`` or ``none``).

        Where nothing is cut off (the end of a residual branch), a gain of 0.3 keeps the sum of all branches from
        growing with the depth, as training does.
        """
        gain = 0.3 if act == "none" else 1.0
        x = self.batch_norm(self.conv(x, cin, cout, kernel, stride, groups), cout, gain)
        if act == "relu6":
            return self.op("Clip", x, self.constant(0.0), self.constant(6.0))
        return self.op("Relu", x) if act == "relu" else x

    def linear(self, x: str, cin: int, cout: int) -> str:
        """Matrix product and bias on the last axis of a tensor of any rank."""
        bound = cin**-0.5
        weight, bias = (self.random.uniform(-bound, bound, s) for s in ((cin, cout), cout))
        return self.op("Add", self.op("MatMul", x, self.constant(weight)), self.constant(bias))

    def classifier(self, x: str, cin: int, classes: int) -> str:
        """Mean over the image, then a fully connected layer."""
        bound = cin**-0.5
        weight, bias = (self.random.uniform(-bound, bound, s) for s in ((classes, cin), classes))
        pooled = self.op("ReduceMean", x, axes=[2, 3], keepdims=0)
        return self.op("Gemm", pooled, self.constant(weight), self.constant(bias), transB=1)

    def layer_norm(self, x: str, channels: int) -> str:
        scale, bias = self.random.uniform(0.8, 1.2, channels), self.random.normal(0, 0.1, channels)
        return self.op("LayerNormalization", x, self.constant(scale), self.constant(bias), axis=-1, epsilon=1e-5)

    def gelu(self, x: str) -> str:
        erf = self.op("Erf", self.op("Div", x, self.constant(2**0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.constant(1.0))), self.constant(0.5))

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(shape, np.int64))

    def model(self, output: str, shape: Sequence[int]) -> onnx.ModelProto:
        """The finished model with input ``input`` and output ``output``."""
        for node in self._nodes:
            node.output[:] = ["output" if o == output else o for o in node.output]
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, IMAGE)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
            self._initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def mobilenet_v1() -> onnx.ModelProto:
    """Howard et al. 2017: depthwise-separable convolutions, 1,001 classes with a softmax."""
    b = Builder("mobilenet_v1")
    x, c = b.conv_bn("input", 3, 32, 3, 2), 32
    strides = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for cout, stride in strides:
        x = b.conv_bn(b.conv_bn(x, c, c, 3, stride, groups=c), c, cout, 1)
        c = cout
    return b.model(b.op("Softmax", b.classifier(x, c, 1001), axis=-1), (1, 1001))


def mobilenet_v2() -> onnx.ModelProto:
    """Sandler et al. 2018: inverted residuals (expansion, channels, repeats, first stride)."""
    b = Builder("mobilenet_v2")
    x, c = b.conv_bn("input", 3, 32, 3, 2), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, cout, repeats, first_stride in stages:
        for i in range(repeats):
            stride, hidden = (first_stride if i == 0 else 1), c * expand
            y = b.conv_bn(x, c, hidden, 1) if expand != 1 else x
            y = b.conv_bn(b.conv_bn(y, hidden, hidden, 3, stride, groups=hidden), hidden, cout, 1, act="none")
            x = b.op("Add", x, y) if stride == 1 and c == cout else y
            c = cout
    return b.model(b.classifier(b.conv_bn(x, c, 1280, 1), 1280, 1000), (1, 1000))


def resnet50() -> onnx.ModelProto:
    """He et al. 2015, with the stride in the 3×3 convolution (width, repeats, first stride)."""
    b = Builder("resnet50")
    x = b.conv_bn("input", 3, 64, 7, 2, act="relu")
    x, c = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
    for width, repeats, first_stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(repeats):
            stride, cout = (first_stride if i == 0 else 1), width * 4
            y = b.conv_bn(x, c, width, 1, act="relu")
            y = b.conv_bn(b.conv_bn(y, width, width, 3, stride, act="relu"), width, cout, 1, act="none")
            skip = b.conv_bn(x, c, cout, 1, stride, act="none") if c != cout or stride != 1 else x
            x, c = b.op("Relu", b.op("Add", y, skip)), cout
    return b.model(b.classifier(x, c, 1000), (1, 1000))


def tiny_vit(dim: int = 192, depth: int = 6, heads: int = 3) -> onnx.ModelProto:
    """A small vision transformer (Dosovitskiy et al. 2020): 16×16 patches, mean over the tokens before the head."""
    b = Builder("tiny_vit")
    tokens, size = 196, dim // heads
    patches = b.conv("input", 3, dim, 16, 16, pad=0)
    x = b.op("Transpose", b.reshape(patches, 1, dim, tokens), perm=[0, 2, 1])
    x = b.op("Add", x, b.constant(b.random.standard_normal((1, tokens, dim)) * 0.02))
    for _ in range(depth):
        qkv = b.reshape(b.linear(b.layer_norm(x, dim), dim, 3 * dim), 1, tokens, 3, heads, size)
        qkv = b.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        q, k, v = (b.op("Gather", qkv, b.constant(i, np.int64), axis=0) for i in range(3))
        scores = b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2]))
        weights = b.op("Softmax", b.op("Mul", scores, b.constant(size**-0.5)), axis=-1)
        mixed = b.op("Transpose", b.op("MatMul", weights, v), perm=[0, 2, 1, 3])
        x = b.op("Add", x, b.linear(b.reshape(mixed, 1, tokens, dim), dim, dim))
        hidden = b.gelu(b.linear(b.layer_norm(x, dim), dim, 4 * dim))
        x = b.op("Add", x, b.linear(hidden, 4 * dim, dim))
    pooled = b.op("ReduceMean", b.layer_norm(x, dim), axes=[1], keepdims=0)
    return b.model(b.linear(pooled, dim, 1000), (1, 1000))


_BATCH_NORM_RANGES = {1: (0.8, 1.2), 2: (-0.1, 0.1), 3: (-0.1, 0.1), 4: (0.5, 1.5)}
_RANGES = {("Mul", 1): (0.8, 1.2), **{("BatchNormalization", i): r for i, r in _BATCH_NORM_RANGES.items()}}


def _light_folder() -> Path:
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def light(name: str) -> onnx.ModelProto:
    """One of the networks of the onnx package, its constant-filled weights made random, its final softmax taken off."""
    model = onnx.load(_light_folder() / f"{name}.onnx")
    model.ir_version = max(model.ir_version, 4)  # the first that allows initializers which are no inputs
    graph, random = model.graph, np.random.default_rng(0)
    known = {t.name: t for t in graph.initializer}
    filled = {
        n.output[0]: numpy_helper.to_array(known[n.input[0]])
        for n in graph.node
        if n.op_type == "ConstantOfShape" and n.input[0] in known
    }
    views = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Unsqueeze"}
    role = {
        views.get(v, v): (n.op_type, i) for n in graph.node for i, v in enumerate(n.input) if n.op_type != "Unsqueeze"
    }
    for weight, shape in filled.items():
        graph.initializer.append(numpy_helper.from_array(_random_weight(role[weight], shape, random), weight))
    nodes = [n for n in graph.node if n.output[0] not in filled]
    if nodes[-1].op_type == "Softmax":
        softmax = nodes.pop()
        for n in nodes:
            n.output[:] = [softmax.output[0] if o == softmax.input[0] else o for o in n.output]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _random_weight(role: tuple[str, int], shape: npt.NDArray[np.int64], random: np.random.Generator) -> FloatArray:
    """Values that keep activations in range, by the operator that reads them and as which input."""
    if len(shape) > 1:
        values = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    else:
        values = random.uniform(*_RANGES.get(role, (-0.1, 0.1)), size=shape)
    return np.asarray(values, np.float32)


BUILT: dict[str, Callable[[], onnx.ModelProto]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "tiny_vit": tiny_vit,
}
LIGHT = (
    "light_bvlc_alexnet",
    "light_densenet121",
    "light_inception_v1",
    "light_inception_v2",
    "light_resnet50",
    "light_shufflenet",
    "light_squeezenet",
    "light_vgg19",
    "light_zfnet512",
)
NAMES = (*BUILT, *LIGHT)


def build(name: str) -> onnx.ModelProto:
    """The network of this name. Raises ``KeyError`` for one that there is not."""
    if name in LIGHT:
        return light(name)
    return BUILT[name]()


def write(folder: Path, names: Sequence[str] = NAMES) -> Iterator[Path]:
    """Write the named networks to ``folder``, one ``NAME.onnx`` each, and yield their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / f"{name}.onnx"
        onnx.save(build(name), path)
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {' '.join(NAMES)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no network {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for path in write(arguments.folder, arguments.names or NAMES):
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()

"""Object detectors: heads, and the choice of boxes after them, whose sizes depend on data."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn

from tests.networks.exported.network import Network
from tests.networks.exported.parts import images, normal


class NonMaxSuppression(torch.autograd.Function):
    """ONNX's operator of this name, which torch lacks: chosen (batch, class, box) numbers, n × 3."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor) -> Tensor:
        return torch.zeros(5, 3, dtype=torch.int64)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any) -> Any:
        def constant(value: float, dtype: torch.dtype) -> Any:
            return g.op("Constant", value_t=torch.tensor([value], dtype=dtype))

        limits = constant(20, torch.int64), constant(0.5, torch.float32), constant(0.1, torch.float32)
        return g.op("NonMaxSuppression", boxes, scores, *limits)


class YoloHead(nn.Module):
    """A small backbone, three scales of boxes decoded from a grid, and suppression of those that overlap."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU())
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.SiLU()) for _ in range(2))
        self.heads = nn.ModuleList(nn.Conv2d(16, 5 + classes, 1) for _ in range(3))

    def decode(self, x: Tensor, stride: int) -> Tensor:
        batch, _, height, width = x.shape
        y, x_ = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack([x_, y], -1).float()
        x = x.permute(0, 2, 3, 1)
        centre = (x[..., :2].sigmoid() * 2 - 0.5 + grid) * stride
        size = (x[..., 2:4].sigmoid() * 2) ** 2 * stride
        return torch.cat([centre - size / 2, centre + size / 2, x[..., 4:].sigmoid()], -1).view(
            batch, -1, 5 + self.classes
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(image)
        found = [self.decode(self.heads[0](x), 4)]
        for stage, head, stride in zip(self.stages, self.heads[1:], (8, 16), strict=True):
            x = stage(x)
            found.append(self.decode(head(x), stride))
        every = torch.cat(found, 1)
        boxes, scores = every[..., :4], (every[..., 4:5] * every[..., 5:]).transpose(1, 2)
        chosen = NonMaxSuppression.apply(boxes, scores)
        return boxes[chosen[:, 0], chosen[:, 2]], scores[chosen[:, 0], chosen[:, 1], chosen[:, 2]], chosen


class BestBoxes(nn.Module):
    """What follows a detector without suppression: the best scores, boxes above a threshold, sizes made whole."""

    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best, kinds = scores.max(-1)
        top, where = best.topk(6)
        rows = torch.gather(boxes, 1, where[..., None].expand(-1, -1, 4))
        whole = torch.stack([rows[..., 0].floor(), rows[..., 1].ceil(), rows[..., 2].round(), rows[..., 3]], -1)
        return whole * (top > 0.3)[..., None], torch.gather(kinds, 1, where), boxes[best > 0.5]


def yolo_head() -> Network:
    torch.manual_seed(3)
    feeds = images((1, 3, 64, 64), (1, 3, 96, 64), (2, 3, 64, 64))
    axes = {"image": {0: "batch", 2: "height", 3: "width"}}
    return Network(YoloHead(), feeds, axes, ("boxes", "scores", "chosen"), exporters=("legacy",))


def best_boxes() -> Network:
    feeds = [{"boxes": normal(b, n, 4), "scores": normal(b, n, 5, seed=1).sigmoid()} for b, n in ((2, 30), (1, 50))]
    shapes = {0: "batch", 1: "boxes"}
    return Network(BestBoxes(), feeds, {"boxes": shapes, "scores": shapes}, ("whole", "kinds", "above"))


class _Detr(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(image)
        return found.logits, found.pred_boxes


def yolos() -> Network:
    """A transformer that detects: learnt box tokens beside the image's patches."""
    config = transformers.YolosConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=[32, 48],
        patch_size=8,
        num_detection_tokens=6,
        initializer_range=0.3,  # with smaller weights all boxes are nearly the same, and float32 itself is as far off
    )
    model = _Detr(transformers.YolosForObjectDetection(config))
    return Network(model, images((1, 3, 32, 48), (2, 3, 32, 48)), {"image": {0: "batch"}}, ("scores", "boxes"))

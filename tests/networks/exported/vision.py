"""Networks over images."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn

from tests.networks.exported.network import Network
from tests.networks.exported.parts import Last, image, images


class UNet(nn.Module):
    """Encoder and decoder with skip connections; up-sampling once by transposed convolution, once bilinear."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def block(cin: int, cout: int) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(cin, cout, 3, padding=1),
                nn.BatchNorm2d(cout),
                nn.ReLU(),
                nn.Conv2d(cout, cout, 3, padding=1),
                nn.ReLU(),
            )

        self.down1, self.down2, self.bottom = block(3, width), block(width, 2 * width), block(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.join2, self.join1 = block(4 * width, 2 * width), block(3 * width, width)
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        a = self.down1(image)
        b = self.down2(self.pool(a))
        c = self.bottom(self.pool(b))
        c = self.join2(torch.cat([self.up2(c), b], 1))
        c = nn.functional.interpolate(c, size=a.shape[2:], mode="bilinear", align_corners=False)
        return self.head(self.join1(torch.cat([c, a], 1)))


class SuperResolution(nn.Module):
    """Sub-pixel convolutions (Shi et al. 2016) on a bicubically enlarged image."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2), nn.PReLU(16), nn.Conv2d(16, 12, 3, padding=1, padding_mode="reflect")
        )
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, image: Tensor) -> Tensor:
        enlarged = nn.functional.interpolate(image, scale_factor=2.0, mode="bicubic", align_corners=False)
        return (enlarged + self.shuffle(self.body(image))).clamp(-3, 3)


class WarpedGrid(nn.Module):
    """A spatial transformer: an affine grid that a small network chooses, sampling at it, a norm over all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.locate = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 6), nn.Tanh())
        self.norm = nn.GroupNorm(1, 3)

    def forward(self, image: Tensor) -> Tensor:
        turn = self.locate(image).view(-1, 2, 3)
        grid = nn.functional.affine_grid(turn, image.shape, align_corners=False)
        sampled = nn.functional.grid_sample(image, grid, align_corners=False)
        return nn.functional.max_pool2d(self.norm(sampled), (2, 3))


def unet() -> Network:
    sizes = [(1, 3, 32, 48), (2, 3, 64, 32), (1, 3, 48, 48)]
    return Network(UNet(), images(*sizes), {"image": {0: "batch", 2: "height", 3: "width"}})


def super_resolution() -> Network:
    sizes = [(1, 3, 24, 17), (2, 3, 9, 30)]
    return Network(SuperResolution(), images(*sizes), {"image": {0: "batch", 2: "height", 3: "width"}})


def warped_grid() -> Network:
    """Pooling to a fixed number of cells has no ONNX operator, so the image's size is fixed."""
    return Network(WarpedGrid(), images((1, 3, 16, 24), (3, 3, 16, 24)), {"image": {0: "batch"}}, opset=20)


def vit() -> Network:
    config = transformers.ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=32, patch_size=8
    )
    return Network(Last(transformers.ViTModel(config)), images((1, 3, 32, 32), (3, 3, 32, 32)), {"image": {0: "batch"}})


def swin() -> Network:
    """Windows that are shifted by rolling, and a mask over them; the window count follows the image, so its size is fixed."""
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    return Network(Last(transformers.SwinModel(config)), [image(1, 3, 32, 32)])


def efficientnet() -> Network:
    """Inverted bottlenecks with squeeze and excitation, SiLU, and uneven padding at each stride."""
    config = transformers.EfficientNetConfig(
        image_size=64,
        width_coefficient=0.25,
        depth_coefficient=0.3,
        kernel_sizes=[3, 5, 3],
        in_channels=[32, 16, 24],
        out_channels=[16, 24, 40],
        depthwise_padding=[],
        strides=[1, 2, 2],
        num_block_repeats=[1, 2, 2],
        expand_ratios=[1, 6, 6],
        hidden_dim=320,
    )
    return Network(
        Last(transformers.EfficientNetModel(config)), images((1, 3, 64, 64), (2, 3, 64, 64)), {"image": {0: "batch"}}
    )


def convnext() -> Network:
    """Depthwise 7×7, layer norm over channels, GELU, layer scale."""
    config = transformers.ConvNextConfig(hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 2, 1], layer_scale_init_value=0.5)
    sizes = [(1, 3, 64, 64), (2, 3, 96, 64)]
    return Network(
        Last(transformers.ConvNextModel(config)), images(*sizes), {"image": {0: "batch", 2: "height", 3: "width"}}
    )


def segformer() -> Network:
    """Attention over a key sequence that strided convolutions shorten, mix-FFN with depthwise convolutions."""
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 3, 4],
        decoder_hidden_size=16,
        num_labels=5,
    )
    model = Last(transformers.SegformerForSemanticSegmentation(config), "logits")
    return Network(model, images((2, 3, 64, 64), (1, 3, 64, 64)), {"image": {0: "batch"}})

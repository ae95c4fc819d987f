"""Images as model inputs: read, resized, cropped and normalised as declared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mace.errors import ConfigError, InputError, MissingExtraError, StorageError
from mace.tensor import Array, TensorType

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
PIXELS_MAX = 64 << 20
"""Pixels of the largest image that is opened."""


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """How a picture becomes a tensor.

    ``resize``: ``stretch`` to the model's size; ``crop``: the shorter side to the model's size over ``crop_share``, then
    the middle. Values 0…255 are multiplied by ``scale``, then ``mean`` is subtracted and the result divided by ``std``,
    per channel. ``order`` is that of the channels.
    """

    resize: Literal["stretch", "crop"] = "stretch"
    crop_share: float = 0.875
    scale: float = 1.0 / 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    order: Literal["rgb", "bgr"] = "rgb"

    def __post_init__(self) -> None:
        if not 0.0 < self.crop_share <= 1.0 or 0.0 in self.std:
            raise ConfigError("crop_share must lie within 0…1 and no std may be 0")


IMAGENET = ImageOptions("crop", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What the usual ImageNet classifiers of torchvision are trained on."""


def image_files(folder: Path) -> list[Path]:
    """Every image below a folder, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def load_image(path: Path, expected: TensorType, options: ImageOptions) -> Array:
    """A tensor of one image for an input of this type. Raises ``InputError``, ``StorageError`` or ``MissingExtraError``."""
    channels, height, width, channels_first = _geometry(path, expected)
    with _opened(path) as opened:
        picture = opened.convert("L" if channels == 1 else "RGB")
        resized = _sized(picture, width, height, options)
    pixels = np.asarray(resized, np.float32).reshape(height, width, channels)
    if options.order == "bgr":
        pixels = pixels[..., ::-1]
    if expected.dtype.is_float:
        mean, std = (np.array(values, np.float32) for values in (options.mean, options.std))
        pixels = (pixels * np.float32(options.scale) - mean) / std
    if channels_first:
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels[np.newaxis].astype(expected.dtype.numpy))


def _geometry(path: Path, expected: TensorType) -> tuple[int, int, int, bool]:
    """Channels, height, width, and whether channels come before the pixels."""
    shape = expected.shape
    if shape is None or len(shape) != 4:
        raise InputError(f"{path}: an image fits an input of four dimensions; this one is {expected}")
    sizes = [d if isinstance(d, int) else None for d in shape]
    first = sizes[1] in (1, 3)
    channels, height, width = (sizes[1], sizes[2], sizes[3]) if first else (sizes[3], sizes[1], sizes[2])
    if channels not in (1, 3) or height is None or width is None:
        raise InputError(f"{path}: {expected} is no input for images: 1 or 3 channels and a fixed size are needed")
    return channels, height, width, first


def _opened(path: Path) -> Image:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("reading images needs Pillow: pip install 'mace-cl[validate]'") from error
    try:
        opened = Image.open(path)
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is no image") from error
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    if opened.width * opened.height > PIXELS_MAX:
        raise InputError(f"{path} has {opened.width}x{opened.height} pixels, more than {PIXELS_MAX}")
    return opened


def _sized(picture: Image, width: int, height: int, options: ImageOptions) -> Image:
    from PIL.Image import Resampling

    if options.resize == "stretch":
        return picture.resize((width, height), Resampling.BILINEAR)
    scale = max(width / picture.width, height / picture.height) / options.crop_share
    size = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return picture.resize(size, Resampling.BILINEAR).crop((left, top, left + width, top + height))

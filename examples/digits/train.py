"""Train the small network of the demo on scikit-learn's handwritten digits, and write what the demo ships with.

usage: python examples/digits/train.py      needs torch and scikit-learn; about a minute on two cores

Writes digits.onnx (the network) and digits-test.npz (`images`, float32 N×1×8×8 in 0…1, and `labels`, int64 N: the test
split, which the network has never seen) beside this file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
EPOCHS = 60


def network() -> nn.Sequential:
    """Three convolutions and a class head: about 75,000 weights."""

    def conv(cin: int, cout: int) -> list[nn.Module]:
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]

    return nn.Sequential(
        *conv(1, 32),
        *conv(32, 64),
        nn.MaxPool2d(2),
        *conv(64, 96),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Adam with a cosine schedule; each image is moved by up to one pixel, so that the network reads the shape."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    batches = len(images) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=EPOCHS * batches)
    model.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for i in range(batches):
            chosen = order[i * 64 : (i + 1) * 64]
            moved = torch.roll(images[chosen], tuple(torch.randint(-1, 2, (2,)).tolist()), (2, 3))
            loss = nn.functional.cross_entropy(model(moved), labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    split = train_test_split(
        images, digits.target.astype(np.int64), test_size=0.2, random_state=0, stratify=digits.target
    )
    train_images, test_images, train_labels, test_labels = split
    model = network()
    train(model, torch.from_numpy(train_images), torch.from_numpy(train_labels))
    model.eval()
    with torch.no_grad():
        right = (model(torch.from_numpy(test_images)).argmax(1).numpy() == test_labels).mean()
    print(f"accuracy on {len(test_labels)} test images: {right:.4f}")
    torch.onnx.export(
        model,
        (torch.from_numpy(test_images[:1]),),
        str(HERE / "digits.onnx"),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    np.savez_compressed(HERE / "digits-test.npz", images=test_images, labels=test_labels)


if __name__ == "__main__":
    main()

"""What the networks share: random inputs, and a wrapper that picks the one output that is compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def image(*shape: int, seed: int = 0) -> dict[str, Tensor]:
    """Standard-normal values for the input ``image``."""
    return {"image": torch.randn(shape, generator=torch.Generator().manual_seed(seed))}


def images(*shapes: tuple[int, ...]) -> list[dict[str, Tensor]]:
    return [image(*shape, seed=seed) for seed, shape in enumerate(shapes)]


def tokens(batch: int, length: int, vocabulary: int = 100, seed: int = 0) -> Tensor:
    """Random token numbers, int64, ``batch`` × ``length``."""
    return torch.randint(1, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Last(nn.Module):
    """A model of ``transformers`` as a function of one tensor to one tensor."""

    def __init__(self, model: nn.Module, output: str = "last_hidden_state") -> None:
        super().__init__()
        self.model = model
        self.output = output

    def forward(self, image: Tensor) -> Tensor:
        return getattr(self.model(image), self.output)


class Masked(nn.Module):
    """A text model of ``transformers`` as a function of tokens and a mask of those that count."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.model(input_ids=tokens, attention_mask=mask).last_hidden_state

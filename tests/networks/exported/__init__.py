"""Networks of many kinds as PyTorch's two exporters write them, with random weights; torch and transformers are needed.

``python -m tests.networks.exported`` compares them with ONNX Runtime, and so does ``test_exported.py`` where torch is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.networks.exported.network import Network

NETWORKS = {
    "lstm_tagger": "language",
    "gru_classifier": "language",
    "gru_unrolled": "language",
    "bert": "language",
    "t5_encoder": "language",
    "llama": "language",
    "decoder_step": "language",
    "unet": "vision",
    "super_resolution": "vision",
    "warped_grid": "vision",
    "vit": "vision",
    "swin": "vision",
    "efficientnet": "vision",
    "convnext": "vision",
    "segformer": "vision",
    "speech_detector": "audio",
    "spectrogram": "audio",
    "greedy_decoder": "audio",
    "whisper_encoder": "audio",
    "wav2vec2": "audio",
    "yolo_head": "detection",
    "best_boxes": "detection",
    "yolos": "detection",
}
"""Name of a network → the module that has a function of that name."""


def make(name: str) -> Network:
    """A network with the weights of a fixed seed."""
    import torch

    torch.manual_seed(0)
    module = import_module(f"tests.networks.exported.{NETWORKS[name]}")
    network: Network = getattr(module, name)()
    return network

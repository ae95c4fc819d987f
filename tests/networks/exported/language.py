"""Networks over text."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn

from tests.networks.exported.network import Network
from tests.networks.exported.parts import Masked, normal, tokens

WORDS = {0: "batch", 1: "length"}


class Tagger(nn.Module):
    """Embedding, a bidirectional LSTM of two layers, scores per word."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.lstm = nn.LSTM(16, 12, num_layers=2, bidirectional=True, batch_first=True)
        self.score = nn.Linear(24, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.score(self.lstm(self.embed(tokens))[0]).log_softmax(-1)


class SequenceClassifier(nn.Module):
    """A GRU whose states are weighed by attention; its last state is another output."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(10, 14, num_layers=2)
        self.weigh, self.score = nn.Linear(14, 1), nn.Linear(14, 3)

    def forward(self, steps: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        states, last = self.gru(steps, state)
        pooled = (self.weigh(states).softmax(0) * states).sum(0)
        return self.score(pooled), last


class RMSNorm(nn.Module):
    """Spelt out, as most published models have it; only the newest opsets have an operator for it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class DecoderStep(nn.Module):
    """A transformer's decoder fed with a few tokens, which attends to the keys and values of all before (rotary positions)."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.embed = nn.Embedding(100, width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up, self.down = nn.Linear(width, 64), nn.Linear(width, 64), nn.Linear(64, width)
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.register_buffer("frequency", 10000.0 ** (-torch.arange(0, self.size, 2) / self.size))

    def rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        angle = positions[:, None].float() * self.frequency
        angle = torch.cat([angle, angle], -1)
        a, b = x.chunk(2, -1)
        return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length = tokens.shape
        past = keys.shape[2]
        x = self.embed(tokens)
        q, k, v = (
            t.view(batch, length, self.heads, self.size).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        positions = torch.arange(past, past + length)
        q, k = self.rotate(q, positions), self.rotate(k, positions)
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        allowed = torch.arange(past + length)[None, :] <= positions[:, None]
        mixed = nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=allowed)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, -1))
        y = self.norm2(x)
        x = x + self.down(nn.functional.silu(self.gate(y)) * self.up(y))
        return x @ self.embed.weight.T, keys, values


def lstm_tagger() -> Network:
    return Network(
        Tagger(), [{"tokens": tokens(2, 9)}, {"tokens": tokens(1, 17)}, {"tokens": tokens(3, 1)}], {"tokens": WORDS}
    )


def gru_classifier() -> Network:
    feeds = [{"steps": normal(n, b, 10), "state": normal(2, b, 14, seed=1)} for n, b in ((7, 2), (12, 1), (3, 5))]
    axes = {"steps": {0: "length", 1: "batch"}, "state": {1: "batch"}}
    return Network(SequenceClassifier(), feeds, axes, ("scores", "last"), exporters=("legacy",))


def gru_unrolled() -> Network:
    """The same, of one length: the newer exporter writes a GRU out step by step."""
    feeds = [{"steps": normal(7, b, 10), "state": normal(2, b, 14, seed=1)} for b in (2, 1, 5)]
    axes = {"steps": {1: "batch"}, "state": {1: "batch"}}
    return Network(SequenceClassifier(), feeds, axes, ("scores", "last"), exporters=("dynamo",))


def _masked(batch: int, length: int) -> dict[str, Tensor]:
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[-1, length * 2 // 3 :] = 0
    return {"tokens": tokens(batch, length), "mask": mask}


def bert() -> Network:
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    feeds = [_masked(2, 11), _masked(1, 16), _masked(3, 5)]
    return Network(Masked(transformers.BertModel(config)), feeds, {"tokens": WORDS, "mask": WORDS})


def t5_encoder() -> Network:
    """Relative positions in buckets: integer logarithms, comparisons, a gather of biases."""
    config = transformers.T5Config(
        vocab_size=100, d_model=32, d_kv=8, num_heads=4, d_ff=48, num_layers=2, feed_forward_proj="gated-gelu"
    )
    feeds = [_masked(2, 11), _masked(1, 40)]
    return Network(Masked(transformers.T5EncoderModel(config)), feeds, {"tokens": WORDS, "mask": WORDS})


def llama() -> Network:
    """Grouped queries, rotary positions, RMS norm, a causal mask."""
    config = transformers.LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_cache=False,
    )
    feeds = [_masked(2, 11), _masked(1, 16)]
    return Network(Masked(transformers.LlamaModel(config)), feeds, {"tokens": WORDS, "mask": WORDS})


def decoder_step() -> Network:
    feeds = []
    for batch, length, past in ((2, 2, 5), (1, 3, 9), (1, 2, 2)):
        cache = {n: normal(batch, 4, past, 8, seed=i) for i, n in enumerate(("keys", "values"))}
        feeds.append({"tokens": tokens(batch, length), **cache})
    cached = {0: "batch", 2: "past"}
    return Network(
        DecoderStep(), feeds, {"tokens": WORDS, "keys": cached, "values": cached}, ("scores", "new_keys", "new_values")
    )

"""Networks over sound."""

from __future__ import annotations

import torch
import transformers
from torch import Tensor, nn

from tests.networks.exported.network import Network
from tests.networks.exported.parts import Last, normal


class SpeechDetector(nn.Module):
    """Probability of speech per chunk: a spectrum by convolution, an encoder, an LSTM cell whose state goes in and out.

    There are two encoders; which one runs depends on the sampling rate, a value known when the model runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = self._encoder(32, 16), self._encoder(16, 8)
        self.lstm = nn.LSTM(16, 16)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(16, 1, 1), nn.Sigmoid())

    @staticmethod
    def _encoder(window: int, step: int) -> nn.Module:
        return nn.Sequential(
            nn.ReflectionPad1d((0, window // 2)),
            nn.Conv1d(1, window + 2, window, stride=step, bias=False),
            nn.ReLU(),
            nn.Conv1d(window + 2, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(16, 16, 3, stride=2, padding=1),
            nn.ReLU(),
        )

    def forward(self, sound: Tensor, state: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        x = self.wide(sound[:, None]) if rate == 16000 else self.narrow(sound[:, None])
        y, (hidden, cell) = self.lstm(x.permute(2, 0, 1), (state[0:1], state[1:2]))
        chance = self.head(y.permute(1, 2, 0)).mean(dim=2)
        return chance, torch.cat([hidden, cell])


class Spectrogram(nn.Module):
    """Short-time Fourier transform, mel bands, logarithm; a convolution over it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("bands", torch.rand(20, 33, generator=torch.Generator().manual_seed(0)))
        self.conv = nn.Conv1d(20, 8, 3, padding=1)

    def forward(self, sound: Tensor) -> Tensor:
        frames = torch.stft(sound, 64, 16, window=self.window, center=False, return_complex=False)
        power = frames.pow(2).sum(-1)
        return self.conv(torch.log(self.bands @ power + 1e-5))


class GreedyDecoder(nn.Module):
    """Feeds its own best token back until it is the last one or there have been ten: a loop whose length depends on data."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.score = nn.Embedding(12, 8), nn.Linear(16, 8), nn.Linear(8, 12)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        token = torch.zeros(state.shape[0], dtype=torch.int64)
        total = torch.zeros(state.shape[0], 12)
        count = 0
        while count < 10 and bool((token != 3).any()):
            state = torch.tanh(self.mix(torch.cat([state, self.embed(token)], dim=1)))
            scores = self.score(state)
            total = total + scores
            token = scores.argmax(dim=1)
            count += 1
        return total, token


def speech_detector() -> Network:
    feeds = []
    for batch, length, rate in ((1, 512, 16000), (2, 256, 8000), (1, 768, 16000), (1, 512, 8000)):
        state = normal(2, batch, 16, seed=1)
        feeds.append({"sound": normal(batch, length), "state": state, "rate": torch.tensor(rate)})
    axes = {"sound": {0: "batch", 1: "samples"}, "state": {1: "batch"}}
    return Network(SpeechDetector(), feeds, axes, ("chance", "new_state"), exporters=("legacy",), script=True)


def spectrogram() -> Network:
    feeds = [{"sound": normal(b, n)} for b, n in ((1, 400), (2, 640))]
    return Network(Spectrogram(), feeds, {"sound": {0: "batch", 1: "samples"}})


def greedy_decoder() -> Network:
    feeds = [{"state": normal(b, 8, seed=b)} for b in (1, 2, 4)]
    axes = {"state": {0: "batch"}}
    return Network(GreedyDecoder(), feeds, axes, ("total", "token"), exporters=("legacy",), script=True)


def whisper_encoder() -> Network:
    config = transformers.WhisperConfig(
        num_mel_bins=20,
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        max_source_positions=30,
    )
    model = transformers.WhisperModel(config).encoder
    feeds = [{"image": normal(b, 20, 60)} for b in (1, 2)]
    return Network(Last(model), feeds, {"image": {0: "batch"}})


def wav2vec2() -> Network:
    """Strided convolutions with group norm, a grouped positional convolution with normalised weights, a transformer."""
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16, 16, 16),
        conv_kernel=(10, 3, 3),
        conv_stride=(5, 2, 2),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    feeds = [{"image": normal(b, n)} for b, n in ((1, 2000), (2, 1200))]
    return Network(Last(transformers.Wav2Vec2Model(config)), feeds, {"image": {0: "batch", 1: "samples"}})

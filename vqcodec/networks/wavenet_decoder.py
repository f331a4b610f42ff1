"""The paper's own decoder of sound: a WaveNet over samples. It is slow.

arXiv 1711.00937, section 4.3, conditions a WaveNet (arXiv 1609.03499) on codewords and on who
speaks. It makes one sample after the other, 16,000 for a second, each through all layers; the
decoder of model files (`sound_autoencoder`) makes all of them at once. This one is here to measure
what that costs, and no model file holds it.

Shapes: B sounds of n = hop N samples, N codewords of D numbers, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqcodec.models.config_sound import WaveNetDecoderConfig
from vqcodec.networks.mu_law import CLASSES, SILENCE, samples_of


class GatedLayer(nn.Module):
    """A dilated causal convolution of two samples, gated and conditioned (sections 2.3 and 2.5)."""

    def __init__(self, config: WaveNetDecoderConfig, dilation: int, condition: int) -> None:
        super().__init__()
        channels = config.channels
        self.dilation = dilation
        self.convolution = nn.Conv1d(channels, 2 * channels, 2, dilation=dilation)
        self.condition = nn.Conv1d(condition, 2 * channels, 1, bias=False)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, config.skip, 1)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map the stream (B, C, n) and what it is conditioned on, (B, 2 C, n), to the stream and
        what is skipped to the end, (B, S, n).
        """
        return self.gated(x, self.convolution(F.pad(x, (self.dilation, 0))) + condition)

    def next(self, x: Tensor, earlier: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Do what `forward` does for one sample: x (B, C, 1) of it, and of the sample that lies
        the dilation before it.
        """
        both = torch.cat([earlier, x], dim=2)
        read = F.conv1d(both, self.convolution.weight, self.convolution.bias)
        return self.gated(x, read + condition)

    def gated(self, x: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stream and what is skipped, of what the convolution has read."""
        filtered, gate = read.chunk(2, dim=1)
        active = torch.tanh(filtered) * torch.sigmoid(gate)
        stream: Tensor = x + self.residual(active)
        skipped: Tensor = self.skip(active)
        return stream, skipped


class WaveNetDecoder(nn.Module):
    """Logits of each sample's class (`mu_law`) given the samples before it."""

    def __init__(
        self, config: WaveNetDecoderConfig, *, code_dim: int, hop: int, speakers: int
    ) -> None:
        """A codeword has `code_dim` numbers and stands for `hop` samples."""
        super().__init__()
        self.hop = hop
        self.class_embedding = nn.Embedding(CLASSES, config.channels)
        self.speaker_embedding = nn.Parameter(torch.randn(speakers, config.speaker_dim))
        condition = code_dim + config.speaker_dim
        self.layers = nn.ModuleList(
            GatedLayer(config, dilation, condition) for dilation in config.dilations
        )
        self.hidden = nn.Conv1d(config.skip, config.skip, 1)
        self.output = nn.Conv1d(config.skip, CLASSES, 1)

    def forward(self, classes: Tensor, codewords: Tensor, voices: Tensor) -> Tensor:
        """Map classes int64 (B, n), codewords (B, D, N) and speakers' rows (B, E) to logits
        (B, 256, n), of which those of a sample depend on earlier classes alone.
        """
        before = F.pad(classes, (1, 0), value=SILENCE)[:, :-1]
        stream = self.class_embedding(before).mT
        total = stream.new_zeros(())
        for layer, condition in zip(self.layers, self.conditions(codewords, voices), strict=True):
            repeated = condition.repeat_interleave(self.hop, dim=2)
            stream, skipped = layer(stream, repeated)
            total = total + skipped
        return self.logits(total)

    def conditions(self, codewords: Tensor, voices: Tensor) -> list[Tensor]:
        """Return what each layer is conditioned on, (B, 2 C, N)."""
        told = voices[:, :, None].expand(-1, -1, codewords.shape[2])
        both = torch.cat([codewords, told], dim=1)
        return [layer.condition(both) for layer in self.layers if isinstance(layer, GatedLayer)]

    def logits(self, skipped: Tensor) -> Tensor:
        """Map what is skipped to the end, (B, S, n), to logits."""
        out: Tensor = self.output(F.relu(self.hidden(F.relu(skipped))))
        return out


class Generation:
    """A sound that is generated sample by sample: what each layer has seen is kept, so that a
    sample costs one pass through each layer (Paine et al., arXiv 1611.09482).
    """

    def __init__(self, decoder: WaveNetDecoder, codewords: Tensor, voices: Tensor) -> None:
        """The decoder is given codewords (B, D, N) and speakers' rows (B, E)."""
        self._decoder = decoder
        self._conditions = decoder.conditions(codewords, voices)
        channels = decoder.class_embedding.embedding_dim
        self._rings = [
            codewords.new_zeros(len(codewords), channels, layer.dilation)
            for layer in decoder.layers
            if isinstance(layer, GatedLayer)
        ]
        """For each layer its inputs at the last samples, as many as its dilation."""
        self._done = 0

    def logits(self, previous: Tensor) -> Tensor:
        """Return the next sample's logits (B, 256), given the class int64 (B,) of the one before;
        of the first sample this is `SILENCE`.
        """
        decoder, at = self._decoder, self._done // self._decoder.hop
        stream = decoder.class_embedding(previous)[:, :, None]
        total = stream.new_zeros(())
        for layer, ring, condition in zip(
            decoder.layers, self._rings, self._conditions, strict=True
        ):
            assert isinstance(layer, GatedLayer)
            place = self._done % layer.dilation
            earlier = ring[:, :, place : place + 1].clone()
            ring[:, :, place : place + 1] = stream
            stream, skipped = layer.next(stream, earlier, condition[:, :, at : at + 1])
            total = total + skipped
        self._done += 1
        return decoder.logits(total)[:, :, 0]


@torch.inference_mode()
def generate(
    decoder: WaveNetDecoder,
    codewords: Tensor,
    voices: Tensor,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
) -> Tensor:
    """Sample sounds (B, hop N) of codewords (B, D, N) in the voices of speakers' rows (B, E).

    Logits are divided by `temperature`, above 0. This takes about 20 seconds of a processor for one
    of sound.
    """
    generation = Generation(decoder, codewords, voices)
    previous = torch.full((len(codewords),), SILENCE, device=codewords.device)
    classes = []
    for _ in range(codewords.shape[2] * decoder.hop):
        chances = torch.softmax(generation.logits(previous) / temperature, dim=1)
        previous = torch.multinomial(chances, 1, generator=generator)[:, 0]
        classes.append(previous)
    return samples_of(torch.stack(classes, dim=1))

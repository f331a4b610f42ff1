r"""Let the paper's own decoder of sound speak, and hold it against the one that files have.

    pip install 'vqcodec[audio,bench]'
    python train/wavenet_decoder.py train/paper-speech-decoder.toml \
        runs/paper-speech-decoder.run/decoder.safetensors speech/test --out build/decoder

Of each recording the middle seconds are coded by the model that the recipe starts from. Its decoder
makes all samples at once; the WaveNet (`vqcodec.networks.wavenet_decoder`), trained on the codes of
the same model, draws one after the other, in the same voice. Prints the mean PESQ-WB and STOI of
both, and the time that the WaveNet took; writes what both made, beside the originals.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from vqcodec_bench.sound_metrics import compare

import vqcodec
from vqcodec.models.stft import RATE
from vqcodec.networks.wavenet_decoder import WaveNetDecoder, generate
from vqcodec.training.architectures import load_recipe
from vqcodec.training.config_sound_vqvae import WaveNetDecoderRecipe
from vqcodec.training.sounds import find_recordings, loudness, read_recording
from vqcodec.training.weights import read_average

Sound = NDArray[np.float32]


def middles(folder: Path, count: int, length: int) -> list[Sound]:
    """Read the middles of recordings that are long enough, evenly spread over the folder."""
    sounds = (read_recording(path) for path in find_recordings(folder))
    long_enough = [sound for sound in sounds if len(sound) >= length]
    spread = long_enough[:: max(1, len(long_enough) // count)][:count]
    starts = [(len(sound) - length) // 2 for sound in spread]
    return [sound[at : at + length] for sound, at in zip(spread, starts, strict=True)]


def read_decoder(recipe: WaveNetDecoderRecipe, checkpoint: Path, model: Any) -> WaveNetDecoder:
    """Read the averaged weights of a checkpoint of the recipe's run."""
    decoder = WaveNetDecoder(
        recipe.decoder,
        code_dim=model.codebook.shape[1],
        hop=model.hop,
        speakers=len(model.speakers),
    )
    decoder.load_state_dict(read_average(checkpoint))
    return decoder.eval()


def speak(
    decoder: WaveNetDecoder, model: Any, files: Sequence[bytes], temperature: float
) -> NDArray[np.float32]:
    """Draw the sounds that files hold, all at once: (B, n), at the level that models see."""
    grids = np.stack([vqcodec.indices(data, model=model)[0, :, 0] for data in files])
    codewords = torch.from_numpy(model.codebook[grids]).mT  # (B, D, N)
    named = [cast(Any, vqcodec.inspect(data)).speakers[0] for data in files]
    voices = decoder.speaker_embedding[[model.speakers.index(name) for name in named]]
    generator = torch.Generator().manual_seed(0)
    drawn = generate(decoder, codewords, voices, generator, temperature=temperature)
    return cast("NDArray[np.float32]", drawn.numpy())


def main() -> None:
    """Compare both decoders."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("recipe", type=Path, help="of the WaveNet")
    parser.add_argument("checkpoint", type=Path, help="of its run")
    parser.add_argument("folder", type=Path, help="of recordings")
    parser.add_argument("--count", type=int, default=12, help="recordings")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("build/decoder"))
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    assert isinstance(recipe, WaveNetDecoderRecipe)
    model: Any = vqcodec.load_model(recipe.start)
    decoder = read_decoder(recipe, given.checkpoint, model)
    length = int(given.seconds * RATE) // model.hop * model.hop
    originals = middles(given.folder, given.count, length)
    files = [vqcodec.compress_audio(sound[None], RATE, model=model) for sound in originals]
    at_once = [vqcodec.decompress_audio(data, model=model)[0][0] for data in files]
    began = time.process_time()
    drawn = speak(decoder, model, files, given.temperature)
    took = time.process_time() - began
    seconds = len(files) * length / RATE
    print(
        f"{len(files)} x {length / RATE:g} s: {took:.0f} s of processor time, {took / seconds:.1f}"
    )
    levels = [np.float32(loudness(sound)) for sound in originals]
    one_by_one = [level * sound for level, sound in zip(levels, drawn, strict=True)]
    given.out.mkdir(parents=True, exist_ok=True)
    for name, sounds in (("original", originals), ("at-once", at_once), ("wavenet", one_by_one)):
        for number, sound in enumerate(sounds):
            soundfile.write(given.out / f"{number:02d}-{name}.wav", sound, RATE)
        if name != "original":
            pairs = zip(originals, sounds, strict=True)
            figures = [compare(*pair) for pair in pairs]
            means = {
                metric: np.mean([f[metric] for f in figures if f[metric] is not None])
                for metric in ("pesq", "stoi")
            }
            print(f"{name}: PESQ {means['pesq']:.2f}, STOI {means['stoi']:.2f}")


if __name__ == "__main__":
    main()

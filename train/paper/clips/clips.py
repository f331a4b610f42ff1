"""Clips that are drawn in latent space (arXiv 1711.00937, section 4.4 and figure 7).

    python train/paper/frames.py --out build/walks --tics 1
    python train/paper/clips/clips.py --frames build/walks --out build/clips

Trains the recipe `clips.toml`, or goes on where it was stopped: a VQ-VAE makes 21x21 indices of
frames of 84x84 pixels, and a prior over space and time learns what follows a frame by an action.
The same prior is trained twice more on frames alone, to compare: on the same indices, and on the
nearest ones. Writes the model,

- `figures.json`: bits per frame of held-out walks, with the frame before and without it, and PSNR;
  whole files, beside animated WebP of equal PSNR; and what drawn frames are like, step by step;
- `turn-left.webp` and so on, one for each action: six given frames of several walks, and ten that
  are drawn in indices and decoded afterwards;
- `clips.png`: the same of one walk, a row for each action.

`--smoke` runs everything for a few steps on clips that it makes itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from files import Footage, Pixels, files, psnr
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from vqcodec.entropy.sampler import Sampler
from vqcodec.models.clip import STEADINESS, UNKNOWN_ACTION, ClipVqVae
from vqcodec.prior.temporal import NOTHING
from vqcodec.training.architectures import load_recipe
from vqcodec.training.clips import ACTIONS_FILE, ClipFiles, clips_of
from vqcodec.training.data import find_pictures, read_rgb
from vqcodec.training.loop import InterruptedRunError, Lines
from vqcodec.training.run import train

Frames = NDArray[np.int32]
"""Indices of frames, (T, N, M)."""
RECIPE = Path(__file__).with_suffix(".toml")
MODEL = "doom-clips"
SMOKE = {
    "autoencoder.hidden": "8",
    "autoencoder.codebook_size": "32",
    "prior.codebook_size": "32",
    "prior.channels": "8",
    "prior.layers": "1",
    "temporal.channels": "8",
    "temporal.layers": "1",
    "train.autoencoder.steps": "4",
    "train.autoencoder.batch": "2",
    "train.autoencoder.plain_steps": "2",
    "train.prior.steps": "4",
    "train.prior.batch": "2",
    "train.prior.warmup": "1",
}
GIVEN, DRAWN = 6, 10
"""Frames that a clip begins with, and that follow."""
STARTS = 8
"""Walks that clips go on from."""
SHOWN = 4
"""Of these are shown."""
ACTIONS = "forward", "turn left", "turn right"
"""What is done over all drawn frames."""
MEASURED = 256
"""Held-out frames whose bits are measured."""
FILES = 10
"""Held-out walks of which files are made."""


@dataclass(frozen=True)
class Walk:
    """Frames in indices."""

    frames: Frames
    actions: tuple[int, ...]
    """The action that led to each frame."""

    def piece(self, start: int, stop: int) -> Walk:
        """Return some of the frames."""
        return Walk(self.frames[start:stop], self.actions[start:stop])


def trained(frames: Path, out: Path, name: str, device: str, changes: dict[str, str]) -> ClipVqVae:
    """Train a model, or go on with it, in the folder `out / name`."""
    path = train(
        load_recipe(RECIPE, changes),
        data=frames / "train",
        validation=frames / "validation",
        out=out / f"{name}.safetensors",
        run=out / name,
        resume=True,
        device=torch.device(device),
        reporter=Lines(),
    )
    return cast(ClipVqVae, vqcodec.load_model(path))


def trained_on_frames_alone(
    frames: Path, out: Path, name: str, device: str, changes: dict[str, str]
) -> ClipVqVae:
    """Train a prior of the same autoencoder's indices that never sees a frame before."""
    (out / name).mkdir(exist_ok=True)
    for file in ("autoencoder.safetensors", "indices.safetensors"):
        if not (out / name / file).exists():
            shutil.copy(out / MODEL / file, out / name / file)
    return trained(frames, out, name, device, changes | {"train.prior.alone": "1.0"})


def load(clip: ClipFiles) -> Footage:
    """Read the files of a walk."""
    return Footage(np.stack([read_rgb(path) for path in clip.frames]), clip.actions)


def index(model: ClipVqVae, footage: Footage, steadiness: float = STEADINESS) -> Walk:
    """Turn a walk into indices."""
    frames: list[Frames] = []
    for pixels in footage.pixels:
        before = frames[-1] if frames else None
        frames.append(model.frame_indices(pixels, before, steadiness))
    return Walk(np.stack(frames), footage.actions)


def bits_per_frame(
    model: ClipVqVae,
    alone: ClipVqVae,
    nearest: ClipVqVae,
    walks: Sequence[Walk],
    unsteady: Sequence[Walk],
) -> dict[str, float]:
    """Return mean bits of held-out frames: given the frame before and the action, given the frame
    before, with both switched off, and under the priors of frames alone, of the same indices and
    of the nearest ones (`unsteady`).
    """
    pairs = [(n, at) for n, walk in enumerate(walks) for at in range(1, len(walk.frames))]
    some = pairs[:: -(-len(pairs) // MEASURED)]
    names = ("frame and action", "frame", "switched off", "frames alone", "frames alone, nearest")
    totals = dict.fromkeys(names, 0.0)
    for number, at in some:
        walk = walks[number]
        before, frame = walk.frames[at - 1 : at + 1]
        nothing = np.full_like(before, NOTHING)
        costs = (
            model.bits(frame, before, walk.actions[at]),
            model.bits(frame, before),
            model.bits(frame, nothing),
            alone.bits(frame, nothing),
            nearest.bits(unsteady[number].frames[at], nothing),
        )
        for name, bits in zip(names, costs, strict=True):
            totals[name] += bits
    return {name: total / len(some) for name, total in totals.items()}


def fidelity(model: ClipVqVae, footage: Sequence[Footage], walks: Sequence[Walk]) -> float:
    """Return the PSNR of what is decoded of all walks together, dB."""
    decoded = [np.stack([model.frame_samples(frame) for frame in walk.frames]) for walk in walks]
    return psnr(footage, decoded)


def starts(walks: Sequence[Walk]) -> Iterator[Walk]:
    """Yield a piece of each walk, as long as a clip, in which the game does not begin anew."""
    length = GIVEN + DRAWN
    for walk in walks:
        for at in range(0, len(walk.frames) - length + 1, length):
            piece = walk.piece(at, at + length)
            if UNKNOWN_ACTION not in piece.actions[1:]:
                yield piece
                break


def draw(model: ClipVqVae, given: Walk, action: int, seed: int) -> Walk:
    """Draw what follows the given frames while one action goes on; return all of the clip."""
    sampler, frames = Sampler(seed, action), list(given.frames)
    for _ in range(DRAWN):
        frames.append(model.draw(frames[-1], action, sampler=sampler))
    return Walk(np.stack(frames), given.actions + (action,) * DRAWN)


def qualities(
    model: ClipVqVae, walks: Sequence[Walk], clips: Sequence[Walk]
) -> list[dict[str, float]]:
    """Tell for each step after the given frames what the frames of all clips are like.

    `bits` are those of an index given the frame before and the action; `sharpness` is the mean
    difference of neighbouring samples; `distance` is the total variation, 0 to 1, between how
    often the indices occur in these frames and in those of the held-out walks.
    """
    everywhere = histogram(model, np.concatenate([walk.frames for walk in walks]))
    steps = []
    for at in range(GIVEN, GIVEN + DRAWN):
        frames = np.stack([clip.frames[at] for clip in clips])
        bits = [
            model.bits(clip.frames[at], clip.frames[at - 1], clip.actions[at]) for clip in clips
        ]
        figures = {
            "bits": float(np.mean(bits)) / frames[0].size,
            "sharpness": float(np.mean([sharpness(model.frame_samples(f)) for f in frames])),
            "distance": float(abs(histogram(model, frames) - everywhere).sum()) / 2.0,
        }
        steps.append(figures)
    return steps


def histogram(model: ClipVqVae, frames: Frames) -> NDArray[np.float64]:
    """Return how often each index occurs, 1 in all."""
    return np.bincount(frames.ravel(), minlength=model.codebook_size) / frames.size


def sharpness(samples: Pixels) -> float:
    """Return the mean absolute difference of neighbouring samples, 0..255."""
    levels = samples.astype(np.float64)
    return float(np.mean([abs(np.diff(levels, axis=axis)).mean() for axis in (0, 1)]))


def show(model: ClipVqVae, pieces: Sequence[Walk], out: Path) -> list[Walk]:
    """Draw clips that go on from the pieces' given frames, write some, and return all."""
    clips, rows = [], []
    for name in ACTIONS:
        given = [piece.piece(0, GIVEN) for piece in pieces]
        drawn = [draw(model, own, model.action(name), seed) for seed, own in enumerate(given)]
        shown = [[model.frame_samples(frame) for frame in clip.frames] for clip in drawn[:SHOWN]]
        frames = [Image.fromarray(np.concatenate(row, 1)) for row in zip(*shown, strict=True)]
        frames[0].save(
            out / f"{name.replace(' ', '-')}.webp",
            save_all=True,
            append_images=frames[1:],
            duration=round(1000 / model.clip.frames_per_second),
            loop=0,
            quality=80,
        )
        rows.append(np.concatenate(shown[0][GIVEN - 1 :], 1))
        clips += drawn
    Image.fromarray(np.concatenate(rows)).save(out / "clips.png")
    return clips


def main() -> None:
    """Train, measure and show."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--frames", type=Path, help="folder that frames.py made")
    parser.add_argument("--out", type=Path, default=Path("build/clips"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--smoke", action="store_true", help="only show that it runs")
    given = parser.parse_args()
    if not given.smoke and not given.frames:
        parser.error("--frames is needed")
    changes = SMOKE if given.smoke else {}
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            given.frames = Path(folder)
            make_clips(given.frames)
        model = trained(given.frames, given.out, MODEL, given.device, changes)
        alone = trained_on_frames_alone(given.frames, given.out, "alone", given.device, changes)
        unsteady_changes = changes | {"train.prior.steadiness": "0.0"}
        nearest = trained_on_frames_alone(
            given.frames, given.out, "nearest", given.device, unsteady_changes
        )
        held_out = find_pictures(given.frames / "validation")
        footage = [load(clip) for clip in clips_of(held_out, model.clip, model.stride)]
    walks = [index(model, own) for own in footage]
    unsteady = [index(model, own, 0.0) for own in footage]
    bits = bits_per_frame(model, alone, nearest, walks, unsteady)
    fidelities = {
        "PSNR": fidelity(model, footage, walks),
        "PSNR, nearest": fidelity(model, footage, unsteady),
    }
    whole = files(model, footage[:FILES])
    pieces = list(starts(walks))[:STARTS]
    clips = show(model, pieces, given.out)
    steps = {
        "drawn": qualities(model, walks, clips),
        "held out": qualities(model, walks, pieces),
    }
    figures = {"bits per frame": bits, **fidelities, "files": whole, **steps}
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1))
    for name, mean in bits.items():
        print(f"{name}: {mean:.1f} bits per frame")
    print(", ".join(f"{name} {value:.2f} dB" for name, value in fidelities.items()))
    for name, values in whole.items():
        print(f"{name} files:", ", ".join(f"{key} {value:.1f}" for key, value in values.items()))
    for name, each in steps.items():
        for step, values in enumerate(each, 1):
            print(name, step, ", ".join(f"{key} {value:.3f}" for key, value in values.items()))


def make_clips(folder: Path) -> None:
    """Make clips for a run that only shows that it runs: a pattern that actions shift."""
    shifts = {"forward": (4, 0), "turn left": (0, 4), "turn right": (0, -4)}
    for part, count in (("train", 2), ("validation", 2)):
        for number in range(count):
            rng = np.random.default_rng([number, count, part == "train"])
            pattern = rng.integers(0, 256, (21, 21, 3), np.uint8).repeat(4, 0).repeat(4, 1)
            own = folder / part / f"clip-{number}"
            own.mkdir(parents=True)
            names = [""]
            for at in range(GIVEN + DRAWN):
                Image.fromarray(pattern).save(own / f"{at:04d}.png")
                names.append(str(rng.choice(list(shifts))))
                pattern = np.roll(pattern, shifts[names[-1]], (0, 1))
            lines = "".join(f"{name}\n" for name in names[:-1])
            (own / ACTIONS_FILE).write_text(lines)


if __name__ == "__main__":
    try:
        main()
    except InterruptedRunError:
        sys.exit("stopped; the same command goes on from here")

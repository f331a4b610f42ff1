"""Networks that were trained to model files, and back for training that goes on from there.

Each architecture has a module: what a model of it is made of while it trains, and how that is
written and read. They are named as those of `vqcodec.models`, which read the same files to code
with them.
"""

from vqcodec.networks.model_files.clip import ClipParts, write_clip
from vqcodec.networks.model_files.photo import PhotoParts, read_photo, write_photo
from vqcodec.networks.model_files.photo2 import (
    Photo2Parts,
    read_photo2,
    round_analysis,
    rounded_weight,
    write_photo2,
)
from vqcodec.networks.model_files.sound_vqvae import (
    SoundVqVaeParts,
    read_sound_vqvae,
    write_sound_vqvae,
)
from vqcodec.networks.model_files.speech import SpeechParts, write_speech
from vqcodec.networks.model_files.two_stage import TwoStageParts, write_two_stage
from vqcodec.networks.model_files.vqvae import VqVaeParts, read_vqvae, write_vqvae

__all__ = [
    "ClipParts",
    "Photo2Parts",
    "PhotoParts",
    "SoundVqVaeParts",
    "SpeechParts",
    "TwoStageParts",
    "VqVaeParts",
    "read_photo",
    "read_photo2",
    "read_sound_vqvae",
    "read_vqvae",
    "round_analysis",
    "rounded_weight",
    "write_clip",
    "write_photo",
    "write_photo2",
    "write_sound_vqvae",
    "write_speech",
    "write_two_stage",
    "write_vqvae",
]

"""Every error that vqcodec raises on purpose, in one tree.

Three kinds of wrong are kept apart: a file that is wrong (`FormatError`), a
model that is wrong or missing (`ModelError`), and a caller that is wrong
(the built-in `ValueError`). The first two share the base `VqcError`.
"""


class VqcError(Exception):
    """Base of all errors about data that vqcodec was given.

    `hint` is one sentence that says what the user can do, or empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class VqcWarning(UserWarning):
    """Something about the user's data that the result does not show."""


class ModelWarning(VqcWarning):
    """An installed model cannot be used; nothing is wrong with the file at hand."""


class FormatError(VqcError):
    """The .vqc file is wrong."""


class NotVqcError(FormatError):
    """The bytes do not begin with the .vqc signature."""


class VersionError(FormatError):
    """The file needs a reader of another version, or a feature this one lacks."""


class MediumError(VersionError):
    """The file holds another medium than what was asked for."""


class TruncatedError(FormatError):
    """The file ends before it is complete."""


class CorruptError(FormatError):
    """A field has a value that the specification forbids."""


class ChecksumError(FormatError):
    """Bytes do not match their checksum."""


class LimitError(FormatError):
    """The file asks for more than the reader's limits allow."""


class PixelLimitError(LimitError):
    """The file has more pixels than the reader is willing to decode."""


class SampleLimitError(LimitError):
    """The file has more samples of sound than the reader is willing to decode."""


class ModelError(VqcError):
    """The model is wrong or missing."""


class ModelNotFoundError(ModelError):
    """No model of that name or hash is shipped or installed."""


class ModelCorruptError(ModelError):
    """A model file is damaged or not a vqcodec model."""


class NoGainError(VqcError):
    """A model of one's own saves too little on the pictures that it is for."""


class PictureError(VqcError):
    """A picture to be compressed cannot be read."""


class PictureSizeError(PictureError):
    """A picture to be compressed has more pixels than the caller allows."""


class PictureShapeError(PictureError):
    """A picture to be compressed is wider or higher than any that the model takes."""


class SampleRangeError(PictureError):
    """Nothing says which of a picture's samples are black and white."""


class SoundError(VqcError):
    """Sound to be compressed cannot be read, or what was decompressed cannot be written."""


class SoundSizeError(SoundError):
    """Sound to be compressed has more samples than the caller allows."""


class ClipError(VqcError):
    """A clip to be compressed cannot be read, or what was decompressed cannot be written."""


class StillPictureError(ClipError):
    """A picture to be compressed as a clip does not move."""


class ClipSizeError(ClipError):
    """A clip to be compressed has more pixels than the caller allows."""


class TokensError(VqcError):
    """Tokens are not those of a model, cannot be had of a file, or a file of them is wrong."""


class MissingPackageError(VqcError):
    """What was asked for takes a package that is not installed."""


class VerificationError(VqcError):
    """What was written does not decode to what was coded."""


class SourceKeptError(VqcError):
    """The result was written, but its source is not safe to delete."""

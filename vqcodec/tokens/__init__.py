"""Pictures as tokens: the indices of .vqc files, for models of other people's.

    from vqcodec import tokens

    tokens.write("tokens.parquet", map(tokens.tokenize, paths))
    for picture in tokens.read("tokens.parquet"):
        picture.indices                   # NumPy, (rows, columns, groups); .tensor() is torch's
    codebooks = tokens.codebooks("tokens.parquet")
    data = tokens.to_vqc(picture)         # bytes of a .vqc file with exactly these indices
    image = tokens.to_image(picture)      # what it decompresses to

Tokens say colours; alpha and metadata are not among them.
"""

from vqcodec.tokens.codebook import Codebook, Codebooks, codebook_of
from vqcodec.tokens.coding import to_image, to_vqc, tokenize
from vqcodec.tokens.files import codebooks, read, write
from vqcodec.tokens.record import Tokens

__all__ = [
    "Codebook",
    "Codebooks",
    "Tokens",
    "codebook_of",
    "codebooks",
    "read",
    "to_image",
    "to_vqc",
    "tokenize",
    "write",
]

"""Model files that every decoder must reject (`Model`), each named by a file that would be
right if its model were.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from cases.build import Case, pack, vqc
from cases.changes import (
    Change,
    as_type,
    bound,
    bytes_as,
    codebook_sizes,
    codewords,
    divided,
    empty_block,
    grown,
    header,
    many_logits,
    reshaped,
    set_to,
    table,
    threes,
    with_hole,
    with_text,
    without,
)
from cases.models import PAPER, TINY, TINY_PHOTO


def cases() -> Iterator[Case]:
    yield Case(
        name="model-of-another-hash",
        tests="A file of another model than the one that is there.",
        rule="a model whose hash is not the file's",
        data=vqc(4, 4, [pack(np.array([1]), 24)], model=TINY.prefix, mode=0),
        model=PAPER.name,
        expect="Model",
    )
    for made, (_, tests, rule, _) in zip(MODELS, FAULTS, strict=True):
        is_photo = made.name.startswith("faulty-photo")
        tile = pack(np.array([1, 1] if is_photo else [1]), 3)
        fields = {"quality": 1, "stride_log2": 4} if is_photo else {}
        yield Case(
            name=made.name.replace("faulty-", "model-"),
            tests=tests,
            rule=rule,
            data=vqc(4, 4, [tile], model=made.prefix, mode=0, **fields),
            model=made.name,
            expect="Model",
        )


FILE = "A model file is a safetensors file."
PLACES = "The places cover all that follows the header, without holes and without overlaps."
METADATA = "Its `__metadata__` has the key `vqcodec`, a string that holds a JSON object"
TENSORS = "with a tensor missing or of another type or shape"
TABLES = "The tables have the keys named above and no others"
INTEGERS = "their values are integers, three of them in widths and in depths, S in slices"
RULES = "every weight and embedding is -127..127, every shift is 0..20"
SUMS = "127 * sum over k of |weight[c, k]| + |bias[c]| < 2^24."
FINITE = "Floats are finite"
RANGES = "Its ranges: K 2 to 4096 and equal in both tables"
PHOTO_RANGES = "Its ranges: widths 1 to 1024"
DETAILS = "details 1 to D - 1"
SLICES = "S 1 to 64, each W[s] at least 1 and their sum D"
SIZES = "A block has n >= 1 groups of d latents each, d = 1, 2, 4 or 8"
CODEWORDS = "with k codewords per group, 2 <= k <= K"

Fault = tuple[str, str, str, Change]
"""Name, what it tests, rule, how it is made."""

VQVAE_FAULTS: list[Fault] = [
    ("empty", "A file of no bytes.", FILE, bytes_as(lambda _: b"")),
    (
        "cut-in-header",
        "A file that ends within its header.",
        FILE,
        bytes_as(lambda data: data[:400]),
    ),
    ("cut-in-data", "A file that ends within a tensor.", FILE, bytes_as(lambda data: data[:-1])),
    ("tail", "A byte that belongs to no tensor.", PLACES, bytes_as(lambda data: data + b"\0")),
    (
        "header-too-large",
        "A header of 2^64 - 1 bytes.",
        "the length of a JSON header, at most 2^20 bytes",
        bytes_as(lambda data: b"\xff" * 8 + data[8:]),
    ),
    (
        "header-no-json",
        "A header that is no JSON.",
        FILE,
        bytes_as(partial(with_text, b"{'a': 1}")),
    ),
    ("header-list", "A header that is a list.", FILE, bytes_as(partial(with_text, b"[1, 2]"))),
    (
        "header-deep",
        "A header of 20,000 nested lists.",
        FILE,
        bytes_as(partial(with_text, b'{"__metadata__":' + b"[" * 20000)),
    ),
    (
        "overlap",
        "Two tensors that share their bytes, which leaves others to none.",
        PLACES,
        header(
            lambda h: h["prior.hidden.bias"].update(h["prior.first.bias"]),
        ),
    ),
    ("hole", "Eight bytes before the first tensor.", PLACES, bytes_as(with_hole)),
    (
        "outside",
        "A tensor that lies beyond the end of the file.",
        PLACES,
        header(lambda h: h["decoder.up2.bias"].update(data_offsets=[2**40, 2**40 + 6])),
    ),
    (
        "shape-without-data",
        "A shape of far more elements than there are bytes.",
        PLACES,
        header(lambda h: h["codebook"].update(shape=[2**31, 2**31])),
    ),
    ("no-metadata", "No `__metadata__`.", METADATA, header(lambda h: h.pop("__metadata__"))),
    (
        "no-key",
        "Metadata without the key.",
        METADATA,
        header(lambda h: h.update(__metadata__={"a": "b"})),
    ),
    (
        "metadata-no-json",
        "The key's string is no JSON.",
        METADATA,
        header(lambda h: h.update(__metadata__={"vqcodec": "paper"})),
    ),
    (
        "metadata-list",
        "The key's string is a JSON list.",
        METADATA,
        header(lambda h: h.update(__metadata__={"vqcodec": "[]"})),
    ),
    (
        "architecture",
        "An architecture that is not known.",
        "A model of another architecture",
        lambda model: model.config.update(architecture="transformer-9"),
    ),
    ("no-table", "No table `prior`.", TABLES, lambda model: model.config.pop("prior")),
    (
        "no-field",
        "A table without one of its keys.",
        TABLES,
        lambda model: model.config["prior"].pop("layers"),
    ),
    ("further-field", "A key that a table does not have.", TABLES, table("prior", colour=1)),
    ("field-real", "A number with a fraction.", INTEGERS, table("prior", channels=2.0)),
    ("field-true", "`true` in the place of 1.", INTEGERS, table("prior", layers=True)),
    ("field-text", "Text in the place of a number.", INTEGERS, table("autoencoder", hidden="1")),
    (
        "sizes-differ",
        "K differs between the tables.",
        RANGES,
        table("autoencoder", codebook_size=4),
    ),
    ("k-1", "K = 1.", RANGES, codebook_sizes(1)),
    ("k-4097", "K = 4097.", RANGES, codebook_sizes(4097)),
    ("e-0", "E = 0.", RANGES, table("prior", embedding=0)),
    ("e-91", "E = 91.", RANGES, table("prior", embedding=91)),
    ("c-0", "C = 0.", RANGES, table("prior", channels=0)),
    ("c-193", "C = 193.", RANGES, table("prior", channels=193)),
    ("l-negative", "L = -1.", RANGES, table("prior", layers=-1)),
    ("l-33", "L = 33.", RANGES, table("prior", layers=33)),
    ("h-0", "H = 0.", RANGES, table("autoencoder", hidden=0)),
    ("h-1025", "H = 1025.", RANGES, table("autoencoder", hidden=1025)),
    ("d-0", "D = 0.", RANGES, table("autoencoder", code_dim=0)),
    ("d-1025", "D = 1025.", RANGES, table("autoencoder", code_dim=1025)),
    ("b-negative", "B = -1.", RANGES, table("autoencoder", residual_blocks=-1)),
    ("b-17", "B = 17.", RANGES, table("autoencoder", residual_blocks=17)),
    ("missing-embedding", "No `prior.embedding`.", TENSORS, without("prior.embedding")),
    ("missing-layer", "No weights of a layer.", TENSORS, without("prior.layers.0.weight")),
    ("missing-shift", "No shifts of a layer.", TENSORS, without("prior.output.shift")),
    ("missing-codebook", "No `codebook`.", TENSORS, without("codebook")),
    ("missing-decoder", "No weights in the decoder.", TENSORS, without("decoder.up1.weight")),
    ("type-embedding", "int16 embeddings.", TENSORS, as_type("prior.embedding", "I16")),
    ("type-bias", "int16 biases.", TENSORS, as_type("prior.hidden.bias", "I16")),
    ("type-shift", "int8 shifts.", TENSORS, as_type("prior.hidden.shift", "I8")),
    ("type-codebook", "A float16 codebook.", TENSORS, as_type("codebook", "F16")),
    (
        "type-decoder",
        "Float32 weights in the decoder.",
        TENSORS,
        as_type("decoder.project.weight", "F32"),
    ),
    ("shape-embedding", "Embeddings with a row too many.", TENSORS, grown("prior.embedding")),
    (
        "shape-weight",
        "Weights with rows and columns swapped.",
        TENSORS,
        reshaped("prior.first.weight", 11, 2),
    ),
    ("shape-bias", "Biases in a matrix.", TENSORS, reshaped("prior.output.bias", 3, 1)),
    ("shape-codebook", "A codebook with a row too many.", TENSORS, grown("codebook")),
    (
        "shape-decoder",
        "Weights of the decoder in a matrix.",
        TENSORS,
        reshaped("decoder.up2.weight", 3, 16),
    ),
    ("embedding-lowest", "An embedding of -128.", RULES, set_to("prior.embedding", -128, (2, 0))),
    ("weight-lowest", "A weight of -128.", RULES, set_to("prior.hidden.weight", -128, (1, 1))),
    ("shift-21", "A shift of 21.", RULES, set_to("prior.first.shift", 21)),
    ("shift-255", "A shift of 255.", RULES, set_to("prior.output.shift", 255)),
    *(
        (f"sum-{name.replace('.', '-')}", "Sums that can reach 2^24.", SUMS, bound(f"prior.{name}"))
        for name in ("first", "layers.0", "hidden", "output")
    ),
    ("sum-negative", "Sums that can reach -2^24.", SUMS, bound("prior.hidden", negative=True)),
    (
        "codebook-infinite",
        "An infinite number in the codebook.",
        FINITE,
        lambda model: model.set("codebook", (2, 0), np.inf),
    ),
    (
        "decoder-infinite",
        "An infinite weight in the decoder.",
        FINITE,
        lambda model: model.set("decoder.up1.weight", (0, 0, 1, 2), -np.inf),
    ),
    ("bias-lowest", "A bias of -2^31.", SUMS, set_to("prior.output.bias", -(2**31))),
]

PHOTO_FAULTS: list[Fault] = [
    *(
        (
            f"{name.replace('_', '-')}-{value}",
            f"{name} = {value}.",
            PHOTO_RANGES,
            table(where, **{name: value}),
        )
        for where, name, values in (
            ("transform", "latents", (1, 1025)),
            ("transform", "qualities", (0, 65)),
            ("latent_prior", "channels", (0, 513)),
            ("latent_prior", "layers", (-1, 33)),
            ("latent_prior", "hidden", (0, 1025)),
            ("product", "codebook_size", (1, 4097)),
            ("product", "distance_bits", (0, 1e-7, 1000000)),
        )
        for value in values
    ),
    ("details-none", "No details.", DETAILS, divided(4, details=0)),
    ("details-all", "All latents are details.", DETAILS, divided(4, details=4)),
    ("slices-none", "No slices.", SLICES, table("latent_prior", slices=[])),
    ("slices-65", "65 slices.", SLICES, table("latent_prior", slices=[1] * 65)),
    ("slice-0", "A slice of no latents.", SLICES, divided(4, 0)),
    ("slices-too-few", "Slices of three of four latents.", SLICES, divided(3)),
    ("slices-too-many", "Slices of five latents of four.", SLICES, divided(3, 2)),
    (
        "slices-integer",
        "A number in the place of a list.",
        INTEGERS,
        table("latent_prior", slices=4),
    ),
    ("slice-real", "A slice of 4.0 latents.", INTEGERS, table("latent_prior", slices=[4.0])),
    ("width-0", "A width of 0.", PHOTO_RANGES, table("transform", widths=[1, 0, 1])),
    ("width-1025", "A width of 1025.", PHOTO_RANGES, table("transform", widths=[1, 1, 1025])),
    ("depth-negative", "A depth of -1.", PHOTO_RANGES, table("transform", depths=[-1, 0, 0])),
    ("depth-17", "A depth of 17.", PHOTO_RANGES, table("transform", depths=[0, 17, 0])),
    ("depth-huge", "A depth of 2^40.", PHOTO_RANGES, table("transform", depths=[0, 0, 2**40])),
    ("widths-2", "Two widths.", INTEGERS, table("transform", widths=[1, 1])),
    ("widths-4", "Four widths.", INTEGERS, table("transform", widths=[1, 1, 1, 1])),
    ("widths-integer", "A number in the place of three.", INTEGERS, table("transform", widths=1)),
    (
        "width-text",
        "Text in the place of a width.",
        INTEGERS,
        table("transform", widths=["a", 1, 1]),
    ),
    (
        "octaves-text",
        "Text in the place of a real number.",
        "are any JSON numbers",
        table("transform", gain_octaves="3"),
    ),
    ("no-product", "No table `product`.", TABLES, lambda model: model.config.pop("product")),
    (
        "no-distance-bits",
        "A table without one of its keys.",
        TABLES,
        lambda model: model.config["product"].pop("distance_bits"),
    ),
    *(
        (f"missing-{key}", f"No `{name}`.", TENSORS, without(name))
        for key, name in (
            ("first", "prior.first.weight"),
            ("hidden", "prior.hidden.0.weight"),
            ("quality", "prior.quality"),
            ("precisions", "prior.precisions"),
            ("rest", "codebooks.1.rest"),
            ("vectors", "codebooks.1.0.1.vectors"),
            ("block-bias", "codebooks.1.0.1.bias"),
            ("block-embedding", "codebooks.1.0.1.embedding"),
            ("gains", "gains"),
            ("synthesis", "synthesis.layers.5.weight"),
            ("details", "synthesis.details.0.weight"),
        )
    ),
    ("type-quality", "int32 in the place of int16.", TENSORS, as_type("prior.quality", "I32")),
    ("type-rest", "int32 in the place of int16.", TENSORS, as_type("codebooks.1.rest", "I32")),
    ("type-vectors", "int32 vectors.", TENSORS, as_type("codebooks.1.0.1.vectors", "I32")),
    ("type-channels", "int32 channels.", TENSORS, as_type("codebooks.1.0.1.channels", "I32")),
    ("type-gains", "float16 gains.", TENSORS, as_type("gains", "F16")),
    ("type-synthesis", "float32 weights.", TENSORS, as_type("synthesis.layers.0.weight", "F32")),
    (
        "shape-details",
        "Weights of the details in a matrix.",
        TENSORS,
        reshaped("synthesis.details.0.weight", 768, 1),
    ),
    ("shape-precisions", "1025 precisions.", TENSORS, grown("prior.precisions")),
    ("shape-quality", "Two qualities where there is one.", TENSORS, grown("prior.quality")),
    ("shape-bias", "Biases of another number of groups.", TENSORS, grown("codebooks.1.0.1.bias")),
    (
        "shape-embedding",
        "Embeddings of another number of groups.",
        TENSORS,
        grown("codebooks.1.0.1.embedding"),
    ),
    ("shape-channels", "Channels in a row.", TENSORS, reshaped("codebooks.1.0.1.channels", 2)),
    ("shape-gains", "Gains of two qualities where there is one.", TENSORS, grown("gains")),
    (
        "precision-negative",
        "A precision of -1.",
        "precisions are 0 to 2^21 - 1",
        set_to("prior.precisions", -1, 5),
    ),
    (
        "precision-largest",
        "A precision of 2^21.",
        "precisions are 0 to 2^21 - 1",
        set_to("prior.precisions", 2**21, 5),
    ),
    (
        "sum-hidden",
        "Sums that can reach 2^24.",
        "Weights, biases and shifts keep the rules above",
        bound("prior.hidden.0"),
    ),
    (
        "sum-output",
        "Sums that can reach -2^24.",
        "Weights, biases and shifts keep the rules above",
        bound("prior.output.0", negative=True),
    ),
    (
        "shift-21",
        "A shift of 21.",
        "Weights, biases and shifts keep the rules above",
        set_to("prior.output.0.shift", 21),
    ),
    (
        "channel-negative",
        "A channel of -1.",
        "0 to W[s] - 1, none twice in a slice",
        set_to("codebooks.1.0.0.channels", -1),
    ),
    (
        "channel-outside",
        "A channel of W[s].",
        "0 to W[s] - 1, none twice in a slice",
        set_to("codebooks.1.0.0.channels", 4),
    ),
    (
        "channel-of-two-blocks",
        "A channel of two blocks.",
        "0 to W[s] - 1, none twice in a slice",
        set_to("codebooks.1.0.0.channels", 1),
    ),
    (
        "channel-twice",
        "A channel twice in a group.",
        "0 to W[s] - 1, none twice in a slice",
        set_to("codebooks.1.0.1.channels", 0, ...),
    ),
    *(
        (
            f"{part}-{value}",
            f"One of {part} is {value}.",
            rule,
            set_to(f"codebooks.1.0.1.{part}", value, (0, 3)),
        )
        for part, values, rule in (
            ("vectors", (4096, -4096, -32768), "-4095 to 4095, in units of 1/32"),
            ("bias", (4096, -4096, -32768), "-4095 to 4095, in units of 1/16 bit"),
            ("embedding", (-128,), "-127 to 127"),
        )
        for value in values
    ),
    ("block-empty", "A block of no groups.", SIZES, empty_block),
    ("block-of-threes", "d = 3.", SIZES, threes),
    ("block-of-1-codeword", "k = 1.", CODEWORDS, codewords(1)),
    ("block-of-5-codewords", "k = K + 1.", CODEWORDS, codewords(5)),
    (
        "block-of-many-logits",
        "33 groups of 3972 codewords.",
        "The groups of a block times its codewords, n k, are at most 2^17.",
        many_logits,
    ),
    ("gain-0", "A gain of 0.", "above 0 and finite", set_to("gains", 0, (0, 2))),
    ("gain-negative", "A gain of -1.", "above 0 and finite", set_to("gains", -1, (0, 2))),
    (
        "gain-infinite",
        "An infinite gain.",
        "above 0 and finite",
        lambda model: model.set("gains", (0, 2), np.inf),
    ),
    (
        "gain-nan",
        "A gain that is no number.",
        "above 0 and finite",
        lambda model: model.set("gains", (0, 2), np.nan),
    ),
]
FAULTS = VQVAE_FAULTS + PHOTO_FAULTS
MODELS = [
    *(TINY.changed(f"faulty-{name}", change) for name, _, _, change in VQVAE_FAULTS),
    *(TINY_PHOTO.changed(f"faulty-photo-{name}", change) for name, _, _, change in PHOTO_FAULTS),
]

/* What the page's worker calls of the exact half: a prior's network is handed over piece by
 * piece, and tiles are coded. Pointers are into the module's own memory, where the worker has
 * put what they point to; functions that can fail return 0, or NULL. */

#include "kernel.h"
#include "literal.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))

extern const Level vq_simd128;

enum { MOST_ITEMS = 1 << 20 };

typedef enum { FIRST, TRUNK, HIDDEN, OUTPUT } Role;

/* The C library's own stack guard would ask the page for random numbers. */
uintptr_t __stack_chk_guard;

_Noreturn void __stack_chk_fail(void) { __builtin_trap(); }

EXPORT(allocate) void *allocate(size_t size) { return malloc(size ? size : 1); }

EXPORT(release) void release(void *memory) { free(memory); }

/* Begin a network of so many layers after the first one, slices and blocks. `starts` has the
 * first number of each slice and their end, `precisions` is NULL for a categorical head. */
EXPORT(new_network)
Network *new_network(int channels, int reads, int layers, int slices, int blocks,
                     const int32_t *starts, const int32_t *offset, const int32_t *precisions,
                     const int32_t *powers)
{
    if (channels < 1 || channels > MOST_ITEMS || layers < 0 || layers > MOST_ITEMS || slices < 1
        || slices > MOST_ITEMS || blocks < 0 || blocks > MOST_ITEMS)
        return NULL;
    Network *network = calloc(1, sizeof *network);
    if (!network)
        return NULL;
    network->channels = channels;
    network->reads = reads;
    network->layer_taps = calloc((size_t)layers + 1, sizeof *network->layer_taps);
    network->layers = calloc((size_t)layers + 1, sizeof *network->layers);
    network->hidden = calloc(slices, sizeof *network->hidden);
    network->output = calloc(slices, sizeof *network->output);
    network->blocks = calloc((size_t)blocks + 1, sizeof *network->blocks);
    network->starts = vq_copy(starts, ((size_t)slices + 1) * sizeof *starts);
    network->offset = vq_copy(offset, (size_t)channels * sizeof *offset);
    network->precisions = precisions ? vq_copy(precisions, SCALES * sizeof *precisions) : NULL;
    if (network->layers && network->layer_taps && network->blocks) {
        network->layer_count = layers;
        network->block_count = blocks;
    }
    if (network->hidden && network->output)
        network->slice_count = slices;
    memcpy(network->powers, powers, sizeof network->powers);
    if (network->layer_count < layers || network->slice_count < slices || !network->starts
        || !network->offset || (precisions && !network->precisions)) {
        vq_free(network);
        free(network);
        return NULL;
    }
    network->numbers = network->starts[slices];
    return network;
}

/* Set the taps of the layer after the first one that has this number, or with -1 of the first. */
EXPORT(set_taps)
int set_taps(Network *network, int number, const int32_t *offsets, int count)
{
    return vq_pack_taps(number < 0 ? &network->first_taps : &network->layer_taps[number], offsets,
                        count);
}

EXPORT(set_layer)
int set_layer(Network *network, Role role, int number, int inputs, int outputs,
              const int8_t *weight, const int32_t *bias, const uint8_t *shift)
{
    Layer *layer = role == FIRST ? &network->first
        : role == TRUNK          ? &network->layers[number]
        : role == HIDDEN         ? &network->hidden[number]
                                 : &network->output[number];
    return vq_pack_layer(layer, inputs, outputs, weight, bias, shift);
}

/* `vectors` [G][d][K], `bias` and `norms` [G][K] are NULL for a categorical head. */
EXPORT(set_block)
int set_block(Network *network, int number, int slice, int groups, int codewords, int dimensions,
              const int32_t *places, const int8_t *embedding, const int16_t *vectors,
              const int16_t *bias, const float *norms)
{
    size_t rows = (size_t)groups * codewords, items = rows * dimensions;
    Block *block = &network->blocks[number];
    block->slice = slice;
    block->groups = groups;
    block->codewords = codewords;
    block->dimensions = dimensions;
    block->places = vq_copy(places, (size_t)groups * dimensions * sizeof *places);
    block->embedding = vq_copy(embedding, items);
    if (!vectors)
        return block->places && block->embedding;
    block->vectors = vq_copy(vectors, items * sizeof *vectors);
    block->bias = vq_copy(bias, rows * sizeof *bias);
    block->norms = vq_copy(norms, rows * sizeof *norms);
    return block->places && block->embedding && block->vectors && block->bias && block->norms;
}

/* Check a network that has all of its parts. Returns whether it is consistent. */
EXPORT(complete_network) int complete_network(Network *network)
{
    return vq_complete(network) == NULL;
}

/* Read a tile's indices int32 [rows][columns][G]. Returns an Outcome. */
EXPORT(decode_tile)
Outcome decode_tile(const Network *network, int rows, int columns, uint8_t *stream, size_t words,
                    int32_t *indices)
{
    Tile tile = {.task = DECODE, .rows = rows, .columns = columns, .indices = indices,
                 .stream = stream, .words = words};
    return vq_simd128.code(network, &tile);
}

/* Choose and write a tile's indices. `stream` has room for a word per index and 2 more; returns
 * how many words it has then, or -1. */
EXPORT(encode_tile)
int encode_tile(const Network *network, int rows, int columns, const float *latents,
                float per_logit, int32_t *indices, uint8_t *stream)
{
    Tile tile = {.task = latents ? ENCODE_CHEAPEST : ENCODE_KNOWN, .rows = rows,
                 .columns = columns, .indices = indices, .stream = stream,
                 .words = (size_t)rows * columns * network->groups + 2, .latents = latents,
                 .per_logit = per_logit};
    return vq_simd128.code(network, &tile) == DONE ? (int)tile.words : -1;
}

/* Read a tile's pixels [rows][columns][3]. Returns a LiteralOutcome. */
EXPORT(decode_literal)
LiteralOutcome decode_literal(int rows, int columns, uint8_t *stream, size_t words,
                              uint8_t *pixels, const int32_t *stretch, const int32_t *squash)
{
    LiteralTile tile = {.rows = rows, .columns = columns, .pixels = pixels, .stream = stream,
                        .words = words, .stretch = stretch, .squash = squash};
    return vq_decode_literal(&tile);
}

/* Write a tile's pixels. Returns the stream, which the caller releases, and its words. */
EXPORT(encode_literal)
uint8_t *encode_literal(int rows, int columns, uint8_t *pixels, const int32_t *stretch,
                        const int32_t *squash, uint32_t *words)
{
    LiteralTile tile = {.rows = rows, .columns = columns, .pixels = pixels, .stretch = stretch,
                        .squash = squash};
    if (vq_encode_literal(&tile) != LITERAL_DONE) {
        free(tile.stream);
        return NULL;
    }
    *words = (uint32_t)tile.words;
    return tile.stream;
}

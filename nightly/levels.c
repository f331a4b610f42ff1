/* Compare the kernel's levels with the portable one, for processors that no Python is at hand for:
 *
 *     aarch64-linux-gnu-gcc -std=c11 -O2 -ffp-contract=off -static -I vqcodec/_kernel \
 *         nightly/levels.c vqcodec/_kernel/{network,levels,portable,neondot}.c -o build/levels
 *     qemu-aarch64 build/levels
 *
 * Networks, indices and tiles are random; logits, frequencies and streams have to be the same, and
 * the streams have to decode. Exit status 1 if anything differs, or if there is only one level.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

enum { NETWORKS = 200 };

static uint64_t state = 1;

/* A whole number of low..high; xorshift, so that every machine draws the same. */
static int draw(int low, int high)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (int)((state >> 33) % (uint64_t)(high - low + 1));
}

static void require(int condition, const char *what)
{
    if (!condition) {
        printf("%s\n", what);
        exit(1);
    }
}

static void draw_layer(Layer *layer, int inputs, int outputs)
{
    int8_t *weight = malloc((size_t)inputs * outputs);
    int32_t *bias = malloc(outputs * sizeof *bias);
    uint8_t *shift = malloc(outputs);
    for (int number = 0; number < inputs * outputs; number++)
        weight[number] = (int8_t)draw(-127, 127);
    for (int output = 0; output < outputs; output++) {
        bias[output] = draw(-100000, 100000);
        shift[output] = (uint8_t)draw(0, 12);
    }
    require(vq_pack_layer(layer, inputs, outputs, weight, bias, shift), "no memory");
    free(weight);
    free(bias);
    free(shift);
}

static void draw_block(Block *block, int slice, int start, int width)
{
    int dimensions = 1 << draw(0, 3);
    while (dimensions > width)
        dimensions /= 2;
    *block = (Block){.slice = slice, .groups = width / dimensions, .codewords = draw(2, 40),
                     .dimensions = dimensions};
    int rows = block->groups * block->codewords, numbers = rows * dimensions;
    block->places = malloc(width * sizeof(int32_t));
    block->vectors = malloc(numbers * sizeof(int16_t));
    block->bias = malloc(rows * sizeof(int16_t));
    block->norms = calloc(rows, sizeof(float));
    block->embedding = malloc(numbers);
    for (int number = 0; number < block->groups * dimensions; number++)
        block->places[number] = start + number;
    for (int row = 0; row < rows; row++)
        block->bias[row] = (int16_t)draw(-4095, 0);
    for (int number = 0; number < numbers; number++) {
        block->vectors[number] = (int16_t)draw(-4095, 4095);
        block->embedding[number] = (int8_t)draw(-127, 127);
    }
}

/* Taps of two dimensions, or of one. */
static void draw_trunk(Network *network)
{
    static const int32_t first[] = {-2, 2, -1, -1, -1, 0, 0, -1}, inner[] = {-1, 1, 0, -1, 0, 0};
    static const int32_t past[] = {0, -4, 0, -3, 0, -2, 0, -1};
    int channels = network->channels, dilated = draw(0, 1);
    network->layers = calloc(4, sizeof(Layer));
    network->layer_taps = calloc(4, sizeof(Taps));
    vq_pack_taps(&network->first_taps, dilated ? past : first, 4);
    draw_layer(&network->first, 4 * network->reads, channels);
    for (int layer = 0; layer < network->layer_count; layer++) {
        int dilation = 1 << draw(0, 4);
        const int32_t causal[] = {0, -2 * dilation, 0, -dilation, 0, 0};
        vq_pack_taps(&network->layer_taps[layer], dilated ? causal : inner, 3);
        draw_layer(&network->layers[layer], 3 * channels, channels);
    }
}

static void draw_network(Network *network)
{
    int slices = draw(1, 3);
    *network = (Network){.channels = draw(1, 70), .layer_count = draw(0, 3),
                         .slice_count = slices, .block_count = slices};
    int channels = network->channels;
    network->hidden = calloc(slices, sizeof(Layer));
    network->output = calloc(slices, sizeof(Layer));
    network->blocks = calloc(slices, sizeof(Block));
    network->starts = calloc(slices + 1, sizeof(int));
    network->offset = calloc(channels, sizeof(int32_t));
    network->precisions = malloc(SCALES * sizeof(int32_t));
    for (int scale = 0; scale < SCALES; scale++)
        network->precisions[scale] = draw(0, 1 << draw(1, 20));
    for (int slice = 0; slice < slices; slice++) {
        int start = network->starts[slice], width = draw(1, 20), hidden = draw(1, 40);
        network->starts[slice + 1] = start + width;
        draw_layer(&network->hidden[slice], channels + start, hidden);
        draw_layer(&network->output[slice], hidden, 2 * width);
        draw_block(&network->blocks[slice], slice, start, width);
    }
    network->numbers = network->starts[slices];
    network->reads = draw(1, network->numbers);
    draw_trunk(network);
    for (int depth = 0; depth < DEPTHS - 1; depth++)
        network->powers[depth] = TOTAL >> depth / 16;
    require(vq_complete(network) == NULL, "a network is not consistent");
}

typedef struct {
    int32_t *indices, *logits, *frequencies;
    uint8_t *stream;
    size_t words;
} Result;

static Result run(const Level *level, const Network *network, Tile tile, const int32_t *indices)
{
    size_t places = (size_t)tile.rows * tile.columns, count = places * network->groups;
    Result result = {.indices = vq_copy(indices, count * sizeof(int32_t)),
                     .logits = calloc(places * network->logits, sizeof(int32_t)),
                     .frequencies = calloc(places * network->logits, sizeof(int32_t)),
                     .stream = calloc(count + 2, 4)};
    tile.task = TABLES;
    tile.indices = result.indices;
    tile.logits = result.logits;
    tile.frequencies = result.frequencies;
    tile.stream = result.stream;
    tile.words = count + 2;
    require(level->code(network, &tile) == DONE, "a tile is not encoded");
    result.words = tile.words;
    memset(result.indices, 0xff, count * sizeof(int32_t));
    tile.task = DECODE;
    require(level->code(network, &tile) == DONE, "a stream is not decoded");
    require(memcmp(result.indices, indices, count * sizeof(int32_t)) == 0, "indices differ");
    return result;
}

static void discard(Result *result)
{
    free(result->indices);
    free(result->logits);
    free(result->frequencies);
    free(result->stream);
}

static int compare(const Network *network)
{
    Tile tile = {.rows = draw(1, 10), .columns = draw(1, 10)};
    size_t places = (size_t)tile.rows * tile.columns;
    size_t tables = places * network->logits * sizeof(int32_t);
    int32_t *indices = malloc(places * network->groups * sizeof *indices), compared = 0;
    int32_t *index = indices;
    for (size_t place = 0; place < places; place++)
        for (int block = 0; block < network->block_count; block++)
            for (int group = 0; group < network->blocks[block].groups; group++)
                *index++ = draw(0, network->blocks[block].codewords - 1);
    Result expected = run(&vq_portable, network, tile, indices);
    for (int number = 0; number < vq_level_count; number++) {
        const Level *level = vq_levels[number];
        if (level == &vq_portable || !level->available())
            continue;
        Result found = run(level, network, tile, indices);
        require(memcmp(found.logits, expected.logits, tables) == 0, level->name);
        require(memcmp(found.frequencies, expected.frequencies, tables) == 0, level->name);
        require(found.words == expected.words
                    && memcmp(found.stream, expected.stream, 4 * found.words) == 0,
                level->name);
        discard(&found);
        compared++;
    }
    discard(&expected);
    free(indices);
    return compared;
}

int main(void)
{
    int compared = 0;
    for (int number = 0; number < NETWORKS; number++) {
        Network network;
        draw_network(&network);
        compared += compare(&network);
        vq_free(&network);
    }
    printf("%d comparisons of %d networks\n", compared, NETWORKS);
    return compared == 0;
}

/* Networks in memory: packed, and checked so that no tile can make the levels leave it. */

#include "kernel.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS_BACK = 1 << 10, MOST_CODEWORDS = 4096, MOST_NUMBERS = 1 << 15 };

void *vq_copy(const void *from, size_t size)
{
    void *to = malloc(size ? size : 1);
    if (to)
        memcpy(to, from, size);
    return to;
}

int vq_pack_layer(Layer *layer, int inputs, int outputs, const int8_t *weight,
                  const int32_t *bias, const uint8_t *shift)
{
    layer->inputs = inputs;
    layer->outputs = outputs;
    layer->words = vq_round_up(inputs, WORD) / WORD;
    layer->blocks = vq_round_up(outputs, LANES) / LANES;
    size_t rounded = (size_t)layer->blocks * LANES;
    layer->weight = calloc(rounded * layer->words, WORD);
    layer->bias = calloc(rounded, sizeof *layer->bias);
    layer->correction = calloc(rounded, sizeof *layer->correction);
    layer->shift = calloc(rounded, 1);
    if (!layer->weight || !layer->bias || !layer->correction || !layer->shift)
        return 0;
    for (int output = 0; output < outputs; output++) {
        int8_t *lane = layer->weight + (size_t)(output / LANES) * layer->words * LANES * WORD
            + output % LANES * WORD;
        const int8_t *row = weight + (size_t)output * inputs;
        int32_t sum = 0;
        for (int input = 0; input < inputs; input++) {
            lane[(size_t)(input / WORD) * LANES * WORD + input % WORD] = row[input];
            sum += row[input];
        }
        layer->correction[output] = 128 * sum;
        layer->bias[output] = bias[output];
        layer->shift[output] = shift[output];
    }
    return 1;
}

int vq_pack_taps(Taps *taps, const int32_t *offsets, int count)
{
    taps->count = count;
    taps->taps = malloc((count ? count : 1) * sizeof(Tap));
    if (!taps->taps)
        return 0;
    for (int tap = 0; tap < count; tap++)
        taps->taps[tap] = (Tap){.down = offsets[2 * tap], .right = offsets[2 * tap + 1]};
    return 1;
}

/* Taps read steps that are done; `own` says whether the position's own step is. */
static int taps_are_right(Taps *taps, int own)
{
    if (taps->count < 1)
        return 0;
    for (int number = 0; number < taps->count; number++) {
        Tap tap = taps->taps[number];
        if (tap.down > 0 || tap.down < -MOST_STEPS_BACK || tap.right < -MOST_STEPS_BACK
            || tap.right > MOST_STEPS_BACK)
            return 0;
        int back = -2 * tap.down - tap.right;
        int is_own = tap.down == 0 && tap.right == 0;
        if (back < 0 || (back == 0 && !(own && is_own)) || back >= MOST_STEPS_BACK)
            return 0;
        if (taps->depth < back + 1)
            taps->depth = back + 1;
    }
    return 1;
}

static int layer_is(const Layer *layer, int64_t inputs, int64_t outputs)
{
    for (int output = 0; output < layer->outputs; output++)
        if (layer->shift[output] > 31)
            return 0;
    return layer->inputs == inputs && layer->outputs == outputs;
}

static int block_is_right(const Network *network, const Block *block, int slice_before)
{
    if (block->slice < slice_before || block->slice >= network->slice_count || block->groups < 1
        || block->dimensions < 1 || block->codewords < 2 || block->codewords > MOST_CODEWORDS)
        return 0;
    int first = network->starts[block->slice], end = network->starts[block->slice + 1];
    for (int number = 0; number < block->groups * block->dimensions; number++)
        if (block->places[number] < first || block->places[number] >= end)
            return 0;
    if (network->precisions == NULL)
        return block->groups == 1 && block->codewords == network->output[block->slice].outputs;
    return block->vectors && block->bias && block->norms;
}

static void raise_to(int *most, int value)
{
    if (*most < value)
        *most = value;
}

const char *vq_complete(Network *network)
{
    int channels = network->channels;
    int64_t inputs = (int64_t)network->first_taps.count * network->reads;
    if (channels < 1 || network->numbers > MOST_NUMBERS || network->reads < 1
        || network->reads > network->numbers)
        return "counts of channels and numbers";
    if (!taps_are_right(&network->first_taps, 0))
        return "taps of the first layer";
    if (!layer_is(&network->first, inputs, channels))
        return "the first layer";
    raise_to(&network->most_outputs, channels);
    raise_to(&network->most_neighbours, network->first.inputs);
    for (int number = 0; number < network->layer_count; number++) {
        if (!taps_are_right(&network->layer_taps[number], 1))
            return "taps of a layer";
        inputs = (int64_t)network->layer_taps[number].count * channels;
        if (!layer_is(&network->layers[number], inputs, channels))
            return "a layer";
        raise_to(&network->most_neighbours, network->layers[number].inputs);
    }
    if (network->precisions == NULL && network->slice_count != 1)
        return "a categorical head has one slice";
    for (int slice = 0; slice < network->slice_count; slice++) {
        const Layer *hidden = &network->hidden[slice], *output = &network->output[slice];
        int start = network->starts[slice], width = network->starts[slice + 1] - start;
        int outputs = network->precisions ? 2 * width : output->outputs;
        if (!layer_is(hidden, channels + start, hidden->outputs)
            || !layer_is(output, hidden->outputs, outputs))
            return "a slice";
        raise_to(&network->most_hidden, hidden->outputs);
        raise_to(&network->most_outputs, hidden->outputs);
        raise_to(&network->most_outputs, output->outputs);
    }
    if (network->starts[network->slice_count] != network->numbers)
        return "slices";
    int slice = 0;
    for (int number = 0; number < network->block_count; number++) {
        const Block *block = &network->blocks[number];
        if (!block_is_right(network, block, slice))
            return "a block";
        slice = block->slice;
        network->groups += block->groups;
        network->logits += block->groups * block->codewords;
        raise_to(&network->most_codewords, block->codewords);
    }
    return NULL;
}

static void free_layers(Layer *layers, int count)
{
    for (int number = 0; layers && number < count; number++) {
        free(layers[number].weight);
        free(layers[number].bias);
        free(layers[number].correction);
        free(layers[number].shift);
    }
}

void vq_free(Network *network)
{
    free_layers(&network->first, 1);
    free_layers(network->layers, network->layer_count);
    free_layers(network->hidden, network->slice_count);
    free_layers(network->output, network->slice_count);
    for (int number = 0; network->blocks && number < network->block_count; number++) {
        Block *block = &network->blocks[number];
        free(block->places);
        free(block->vectors);
        free(block->bias);
        free(block->norms);
        free(block->embedding);
    }
    free(network->first_taps.taps);
    for (int number = 0; network->layer_taps && number < network->layer_count; number++)
        free(network->layer_taps[number].taps);
    free(network->layer_taps);
    free(network->layers);
    free(network->hidden);
    free(network->output);
    free(network->offset);
    free(network->starts);
    free(network->precisions);
    free(network->blocks);
    memset(network, 0, sizeof *network);
}

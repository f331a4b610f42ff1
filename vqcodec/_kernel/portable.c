/* The level that every processor has. */

#include "kernel.h"

#define TARGET
#define LEVEL(name) portable_##name

enum { SIDE = 1 };

static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    (void)is_signed, (void)side;
    for (int block = 0; block < layer->blocks; block++) {
        const int8_t *weights = layer->weight + (size_t)block * layer->words * LANES * WORD;
        for (int position = 0; position < positions; position++) {
            const int8_t *input = inputs + (size_t)position * stride;
            const int8_t *weight = weights;
            int32_t sum[LANES] = {0};
            for (int word = 0; word < layer->words; word++, input += WORD, weight += LANES * WORD)
                for (int lane = 0; lane < LANES; lane++)
                    for (int byte = 0; byte < WORD; byte++)
                        sum[lane] += input[byte] * weight[lane * WORD + byte];
            int32_t *out = sums + (size_t)position * row + (size_t)block * LANES;
            for (int lane = 0; lane < LANES; lane++)
                out[lane] = sum[lane];
        }
    }
}

#include "tile.inc"

static int portable_available(void) { return 1; }

const Level vq_portable = {"portable", portable_available, portable_code};

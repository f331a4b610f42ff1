/* AVX-512 with VNNI: 64 products of unsigned and signed bytes in one instruction. */

#include "kernel.h"

#ifdef VQ_X86
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define LEVEL(name) avx512vnni_##name

enum { SIDE = 4, BLOCKS = 4 }; /* positions and blocks that are computed together */

/* Signed inputs become unsigned by adding 128, and the sums are corrected. */
TARGET static ALWAYS_INLINE void
block_products(const Layer *layer, int block, int blocks, const int8_t *inputs, int stride,
               int positions, int is_signed, int side, int32_t *sums, int row)
{
    int32_t flip = is_signed ? (int32_t)0x80808080 : 0;
    size_t size = (size_t)layer->words * LANES * WORD;
    const int8_t *weights = layer->weight + block * size;
    for (int first = 0; first < positions; first += side) {
        const int8_t *input[SIDE];
        __m512i sum[SIDE][BLOCKS];
        for (int p = 0; p < side; p++) {
            int position = first + p < positions ? first + p : positions - 1;
            input[p] = inputs + (size_t)position * stride;
            for (int b = 0; b < blocks; b++)
                sum[p][b] = _mm512_setzero_si512();
        }
        for (int word = 0; word < layer->words; word++) {
            __m512i weight[BLOCKS];
            for (int b = 0; b < blocks; b++)
                weight[b] = _mm512_loadu_si512(weights + b * size + (size_t)word * LANES * WORD);
            for (int p = 0; p < side; p++) {
                int32_t four;
                memcpy(&four, input[p] + word * WORD, sizeof four);
                __m512i wide = _mm512_set1_epi32(four ^ flip);
                for (int b = 0; b < blocks; b++)
                    sum[p][b] = _mm512_dpbusd_epi32(sum[p][b], wide, weight[b]);
            }
        }
        for (int p = 0; p < side && first + p < positions; p++)
            for (int b = 0; b < blocks; b++) {
                size_t output = (size_t)(block + b) * LANES;
                __m512i found = sum[p][b];
                if (flip)
                    found = _mm512_sub_epi32(
                        found, _mm512_loadu_si512(layer->correction + output));
                _mm512_storeu_si512(sums + (size_t)(first + p) * row + output, found);
            }
    }
}

TARGET static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    int block = 0;
    for (; block + BLOCKS <= layer->blocks; block += BLOCKS)
        block_products(layer, block, BLOCKS, inputs, stride, positions, is_signed, side, sums,
                       row);
    for (; block < layer->blocks; block++)
        block_products(layer, block, 1, inputs, stride, positions, is_signed, side, sums, row);
}

#include "tile.inc"

static int avx512vnni_available(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

const Level vq_avx512vnni = {"avx512vnni", avx512vnni_available, avx512vnni_code};
#else
typedef int vq_empty_translation_unit;
#endif

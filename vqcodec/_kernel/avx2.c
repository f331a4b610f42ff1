/* AVX2: pairs of products of bytes in one instruction, whose sums have 16 bits. */

#include "kernel.h"

#ifdef VQ_X86
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2")))
#define LEVEL(name) avx2_##name

enum { SIDE = 4, HALF = LANES / 2 }; /* positions; lanes of a vector */

/* An instruction multiplies unsigned with signed bytes. Signed inputs give their signs to the
 * weights; as magnitudes are at most 127, two products make at most 32258, which fits. */
TARGET static ALWAYS_INLINE void
block_products(const Layer *layer, int block, const int8_t *inputs, int stride, int positions,
               int is_signed, int side, int32_t *sums, int row)
{
    const int8_t *weights = layer->weight + (size_t)block * layer->words * LANES * WORD;
    const __m256i ones = _mm256_set1_epi16(1);
    for (int first = 0; first < positions; first += side) {
        const int8_t *input[SIDE];
        __m256i sum[SIDE][2];
        for (int p = 0; p < side; p++) {
            int position = first + p < positions ? first + p : positions - 1;
            input[p] = inputs + (size_t)position * stride;
            sum[p][0] = sum[p][1] = _mm256_setzero_si256();
        }
        for (int word = 0; word < layer->words; word++) {
            __m256i weight[2];
            for (int half = 0; half < 2; half++)
                weight[half] = _mm256_loadu_si256(
                    (const __m256i *)(weights + ((size_t)word * LANES + half * HALF) * WORD));
            for (int p = 0; p < side; p++) {
                int32_t four;
                memcpy(&four, input[p] + word * WORD, sizeof four);
                __m256i wide = _mm256_set1_epi32(four);
                __m256i magnitude = is_signed ? _mm256_abs_epi8(wide) : wide;
                for (int half = 0; half < 2; half++) {
                    __m256i factor
                        = is_signed ? _mm256_sign_epi8(weight[half], wide) : weight[half];
                    __m256i pairs = _mm256_maddubs_epi16(magnitude, factor);
                    sum[p][half] = _mm256_add_epi32(sum[p][half], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        for (int p = 0; p < side && first + p < positions; p++)
            for (int half = 0; half < 2; half++)
                _mm256_storeu_si256((__m256i *)(sums + (size_t)(first + p) * row
                                                + (size_t)block * LANES + half * HALF),
                                    sum[p][half]);
    }
}

TARGET static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    for (int block = 0; block < layer->blocks; block++)
        block_products(layer, block, inputs, stride, positions, is_signed, side, sums, row);
}

#include "tile.inc"

static int avx2_available(void) { return __builtin_cpu_supports("avx2"); }

const Level vq_avx2 = {"avx2", avx2_available, avx2_code};
#else
typedef int vq_empty_translation_unit;
#endif

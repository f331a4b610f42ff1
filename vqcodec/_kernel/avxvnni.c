/* AVX-VNNI: 32 products of unsigned and signed bytes in one instruction. */

#include "kernel.h"

#ifdef VQ_X86
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,avxvnni")))
#define LEVEL(name) avxvnni_##name

enum { SIDE = 4, HALF = LANES / 2 };

/* Signed inputs become unsigned by adding 128, and the sums are corrected. */
TARGET static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    int32_t flip = is_signed ? (int32_t)0x80808080 : 0;
    for (int block = 0; block < layer->blocks; block++) {
        const int8_t *weights = layer->weight + (size_t)block * layer->words * LANES * WORD;
        for (int first = 0; first < positions; first += side) {
            const int8_t *input[SIDE];
            __m256i sum[SIDE][2];
            for (int p = 0; p < side; p++) {
                int position = first + p < positions ? first + p : positions - 1;
                input[p] = inputs + (size_t)position * stride;
                sum[p][0] = sum[p][1] = _mm256_setzero_si256();
            }
            for (int word = 0; word < layer->words; word++) {
                const int8_t *weight = weights + (size_t)word * LANES * WORD;
                __m256i low = _mm256_loadu_si256((const __m256i *)weight);
                __m256i high = _mm256_loadu_si256((const __m256i *)(weight + HALF * WORD));
                for (int p = 0; p < side; p++) {
                    int32_t four;
                    memcpy(&four, input[p] + word * WORD, sizeof four);
                    __m256i wide = _mm256_set1_epi32(four ^ flip);
                    sum[p][0] = _mm256_dpbusd_avx_epi32(sum[p][0], wide, low);
                    sum[p][1] = _mm256_dpbusd_avx_epi32(sum[p][1], wide, high);
                }
            }
            for (int p = 0; p < side && first + p < positions; p++)
                for (int half = 0; half < 2; half++) {
                    size_t output = (size_t)block * LANES + half * HALF;
                    __m256i found = sum[p][half];
                    if (flip)
                        found = _mm256_sub_epi32(
                            found,
                            _mm256_loadu_si256((const __m256i *)(layer->correction + output)));
                    _mm256_storeu_si256(
                        (__m256i *)(sums + (size_t)(first + p) * row + output), found);
                }
        }
    }
}

#include "tile.inc"

/* __builtin_cpu_supports knows it by name from GCC 13 and Clang 17 on. */
static int avxvnni_available(void)
{
    uint32_t a, b, c, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d)
        && (a & 1 << 4);
}

const Level vq_avxvnni = {"avxvnni", avxvnni_available, avxvnni_code};
#else
typedef int vq_empty_translation_unit;
#endif

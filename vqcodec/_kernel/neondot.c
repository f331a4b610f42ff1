/* ARMv8.2 with dot products: 16 products of signed bytes in one instruction. */

#include "kernel.h"

#ifdef VQ_ARM64
#include <arm_neon.h>
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

#ifdef __ARM_FEATURE_DOTPROD
#define TARGET
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define LEVEL(name) neondot_##name

enum { SIDE = 4, QUARTERS = 4, QUARTER = LANES / QUARTERS };

TARGET static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    (void)is_signed;
    for (int block = 0; block < layer->blocks; block++) {
        const int8_t *weights = layer->weight + (size_t)block * layer->words * LANES * WORD;
        for (int first = 0; first < positions; first += side) {
            const int8_t *input[SIDE];
            int32x4_t sum[SIDE][QUARTERS];
            for (int p = 0; p < side; p++) {
                int position = first + p < positions ? first + p : positions - 1;
                input[p] = inputs + (size_t)position * stride;
                for (int quarter = 0; quarter < QUARTERS; quarter++)
                    sum[p][quarter] = vdupq_n_s32(0);
            }
            for (int word = 0; word < layer->words; word++) {
                int8x16_t weight[QUARTERS];
                for (int quarter = 0; quarter < QUARTERS; quarter++)
                    weight[quarter]
                        = vld1q_s8(weights + ((size_t)word * LANES + quarter * QUARTER) * WORD);
                for (int p = 0; p < side; p++) {
                    int32_t four;
                    memcpy(&four, input[p] + word * WORD, sizeof four);
                    int8x16_t wide = vreinterpretq_s8_s32(vdupq_n_s32(four));
                    for (int quarter = 0; quarter < QUARTERS; quarter++)
                        sum[p][quarter] = vdotq_s32(sum[p][quarter], weight[quarter], wide);
                }
            }
            for (int p = 0; p < side && first + p < positions; p++)
                for (int quarter = 0; quarter < QUARTERS; quarter++)
                    vst1q_s32(sums + (size_t)(first + p) * row + (size_t)block * LANES
                                  + quarter * QUARTER,
                              sum[p][quarter]);
        }
    }
}

#include "tile.inc"

static int neondot_available(void)
{
#if defined(__ARM_FEATURE_DOTPROD)
    return 1;
#elif defined(__linux__)
    return (getauxval(AT_HWCAP) & 1 << 20) != 0; /* HWCAP_ASIMDDP */
#else
    return 0;
#endif
}

const Level vq_neondot = {"neondot", neondot_available, neondot_code};
#else
typedef int vq_empty_translation_unit;
#endif

/* SSE2, which every x86-64 processor has: 8 products of 16 bits in one instruction. */

#include "kernel.h"

#ifdef VQ_SSE2
#include <emmintrin.h>
#include <string.h>

#define TARGET
#define LEVEL(name) sse2_##name

enum { SIDE = 2, PAIRS = 4, HALF = LANES / 2 }; /* positions; pairs of lanes computed together */

static inline __m128i widen_low(__m128i bytes)
{
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}

static inline __m128i widen_high(__m128i bytes)
{
    return _mm_srai_epi16(_mm_unpackhi_epi8(bytes, bytes), 8);
}

/* Add up what two pairs of lanes have in twos: the sums of four lanes. */
static inline __m128i join(__m128i one, __m128i other)
{
    __m128 low = _mm_castsi128_ps(one), high = _mm_castsi128_ps(other);
    return _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps(low, high, 0x88)),
                         _mm_castps_si128(_mm_shuffle_ps(low, high, 0xdd)));
}

static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    (void)is_signed;
    for (int half = 0; half < 2 * layer->blocks; half++) {
        const int8_t *weights = layer->weight
            + ((size_t)(half / 2) * layer->words * LANES + half % 2 * HALF) * WORD;
        for (int first = 0; first < positions; first += side) {
            const int8_t *input[SIDE];
            __m128i sum[SIDE][PAIRS];
            for (int p = 0; p < side; p++) {
                int position = first + p < positions ? first + p : positions - 1;
                input[p] = inputs + (size_t)position * stride;
                for (int pair = 0; pair < PAIRS; pair++)
                    sum[p][pair] = _mm_setzero_si128();
            }
            for (int word = 0; word < layer->words; word++) {
                const __m128i *bytes
                    = (const __m128i *)(weights + (size_t)word * LANES * WORD);
                __m128i low = _mm_loadu_si128(bytes), high = _mm_loadu_si128(bytes + 1);
                __m128i weight[PAIRS]
                    = {widen_low(low), widen_high(low), widen_low(high), widen_high(high)};
                for (int p = 0; p < side; p++) {
                    int32_t four;
                    memcpy(&four, input[p] + word * WORD, sizeof four);
                    __m128i wide = widen_low(_mm_set1_epi32(four));
                    for (int pair = 0; pair < PAIRS; pair++)
                        sum[p][pair]
                            = _mm_add_epi32(sum[p][pair], _mm_madd_epi16(wide, weight[pair]));
                }
            }
            for (int p = 0; p < side && first + p < positions; p++) {
                __m128i *out = (__m128i *)(sums + (size_t)(first + p) * row + half * HALF);
                _mm_storeu_si128(out, join(sum[p][0], sum[p][1]));
                _mm_storeu_si128(out + 1, join(sum[p][2], sum[p][3]));
            }
        }
    }
}

#include "tile.inc"

static int sse2_available(void) { return 1; }

const Level vq_sse2 = {"sse2", sse2_available, sse2_code};
#else
typedef int vq_empty_translation_unit;
#endif

/* WebAssembly's 128 bits: pairs of products of 16 bits, 8 in one instruction. */

#include "kernel.h"

#include <wasm_simd128.h>

#define TARGET
#define LEVEL(name) simd128_##name

enum { SIDE = 2, QUARTERS = LANES / 4 }; /* positions and fours of lanes computed together */

/* Add up what two vectors have in twos: the sums of four lanes. */
static inline v128_t join(v128_t low, v128_t high)
{
    return wasm_i32x4_add(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6),
                          wasm_i32x4_shuffle(low, high, 1, 3, 5, 7));
}

static ALWAYS_INLINE void
products_of(const Layer *layer, const int8_t *inputs, int stride, int positions, int is_signed,
            int side, int32_t *sums, int row)
{
    (void)is_signed;
    for (int half = 0; half < 2 * layer->blocks; half++) {
        const int8_t *weights = layer->weight
            + ((size_t)(half / 2) * layer->words * LANES + half % 2 * (LANES / 2)) * WORD;
        for (int first = 0; first < positions; first += side) {
            const int8_t *input[SIDE];
            v128_t sum[SIDE][QUARTERS];
            for (int p = 0; p < side; p++) {
                int position = first + p < positions ? first + p : positions - 1;
                input[p] = inputs + (size_t)position * stride;
                for (int pair = 0; pair < QUARTERS; pair++)
                    sum[p][pair] = wasm_i32x4_splat(0);
            }
            for (int word = 0; word < layer->words; word++) {
                const int8_t *bytes = weights + (size_t)word * LANES * WORD;
                v128_t low = wasm_v128_load(bytes), high = wasm_v128_load(bytes + 16);
                v128_t weight[QUARTERS]
                    = {wasm_i16x8_extend_low_i8x16(low), wasm_i16x8_extend_high_i8x16(low),
                       wasm_i16x8_extend_low_i8x16(high), wasm_i16x8_extend_high_i8x16(high)};
                for (int p = 0; p < side; p++) {
                    v128_t wide = wasm_i16x8_extend_low_i8x16(
                        wasm_v128_load32_splat(input[p] + word * WORD));
                    for (int pair = 0; pair < QUARTERS; pair++)
                        sum[p][pair] = wasm_i32x4_add(
                            sum[p][pair], wasm_i32x4_dot_i16x8(wide, weight[pair]));
                }
            }
            for (int p = 0; p < side && first + p < positions; p++) {
                int32_t *out = sums + (size_t)(first + p) * row + half * (LANES / 2);
                wasm_v128_store(out, join(sum[p][0], sum[p][1]));
                wasm_v128_store(out + 4, join(sum[p][2], sum[p][3]));
            }
        }
    }
}

#include "tile.inc"

static int simd128_available(void) { return 1; }

const Level vq_simd128 = {"simd128", simd128_available, simd128_code};

/* Convolutions of integers, exact: format/SPEC.md, section 9, "Exact synthesis".
 *
 * Values are -128..255 and weights -64..64. Winograd's algorithm makes of them at most 1020 and,
 * with weights four times as large as they should be, 576, which fit 16 bits. Its sums may leave
 * 32 bits on the way; they come back, as their ends are four times sums below 2^24. */

#include "convolution.h"

typedef int16_t Value;
typedef int32_t Sum;

enum { VALUES = 2 };

#define NAME(function) vq_##function##_integer
#define add_values wasm_i16x8_add
#define subtract_values wasm_i16x8_sub
#define add_sums wasm_i32x4_add
#define subtract_sums wasm_i32x4_sub

static inline v128_t multiply_add(v128_t sum, v128_t values, v128_t weights)
{
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(values, weights));
}

static inline v128_t real(v128_t sums) { return wasm_f32x4_convert_i32x4(sums); }

static inline v128_t real_sums(v128_t sums) { return real(wasm_i32x4_shr(sums, 2)); }

#include "convolution.inc"

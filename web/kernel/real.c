/* Convolutions of real numbers. */

#include "convolution.h"

typedef float Value;
typedef float Sum;

enum { VALUES = 1 };

#define NAME(function) vq_##function##_real
#define add_values wasm_f32x4_add
#define subtract_values wasm_f32x4_sub
#define add_sums wasm_f32x4_add
#define subtract_sums wasm_f32x4_sub

static inline v128_t multiply_add(v128_t sum, v128_t value, v128_t weight)
{
    return wasm_f32x4_add(sum, wasm_f32x4_mul(value, weight));
}

static inline v128_t real(v128_t sums) { return sums; }

static inline v128_t real_sums(v128_t sums) { return sums; }

#include "convolution.inc"

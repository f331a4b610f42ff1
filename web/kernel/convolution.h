/* Convolutions of the networks, real and integer ones.
 *
 * A plane is [rows][columns][pitch] with the channels of a position side by side, and zeros up
 * to the pitch, a multiple of PITCH. Real planes and streams are float, digits int16_t.
 */
#ifndef VQ_CONVOLUTION_H
#define VQ_CONVOLUTION_H

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

enum {
    PITCH = 8,      /* channels are a multiple of this; outputs that are computed side by side */
    SQUARE = 2,     /* rows and columns of results that Winograd's algorithm makes at once */
    PATCH = 4,      /* rows and columns that it reads for that */
    FREQUENCIES = PATCH * PATCH,
    RUN = 72        /* positions, or squares, that are worked on at a time */
};

/* What becomes of a sum and its bias, v. */
typedef enum {
    RECTIFIED, /* v, or `slope` times v below 0, plus the other plane's if there is one: float */
    UNSIGNED,  /* v in units of 1 / scale to the nearest of 0..255, ties to even: int16_t */
    ADDED      /* likewise to the nearest of -128..127, times `gain`, plus the other's: float */
} Finish;

typedef struct {
    int is_integer;
    int inputs, outputs;     /* pitches of the planes that it reads and makes */
    int size, stride, padding;
    int is_fast;             /* by Winograd's algorithm: 3x3, stride 1, padding 1 */
    Finish finish;
    float slope;
    float *bias, *scale, *gain; /* [outputs] */
    void *panels;            /* weights, [FREQUENCIES if fast][outputs / PITCH][words][PITCH] */
} Convolution;

typedef struct {
    const void *source;
    const float *other;      /* what is added to the result, or NULL */
    void *target;
    int rows, columns;       /* of the source */
} Planes;

/* Return 0 if memory runs out. */
int vq_convolve_real(const Convolution *layer, const Planes *planes);
int vq_convolve_integer(const Convolution *layer, const Planes *planes);
int vq_pack_real(Convolution *layer, const float *weights, int inputs, int outputs);
int vq_pack_integer(Convolution *layer, const float *weights, int inputs, int outputs);

/* Turn the sums of a position's four outputs from `output` on into what the layer gives. */
static inline void finish(const Convolution *layer, const Planes *planes, size_t position,
                          int output, v128_t sums)
{
    size_t at = position * layer->outputs + output;
    v128_t zero = wasm_f32x4_splat(0);
    v128_t value = wasm_f32x4_add(sums, wasm_v128_load(layer->bias + output));
    if (layer->finish == RECTIFIED) {
        v128_t low = wasm_f32x4_mul(value, wasm_f32x4_splat(layer->slope));
        value = wasm_v128_bitselect(low, value, wasm_f32x4_lt(value, zero));
    } else {
        int is_unsigned = layer->finish == UNSIGNED;
        value = wasm_f32x4_nearest(wasm_f32x4_mul(value, wasm_v128_load(layer->scale + output)));
        value = wasm_f32x4_pmin(wasm_f32x4_splat(is_unsigned ? 255 : 127), value);
        value = wasm_f32x4_pmax(wasm_f32x4_splat(is_unsigned ? 0 : -128), value);
        if (is_unsigned) {
            v128_t whole = wasm_i32x4_trunc_sat_f32x4(value);
            wasm_v128_store64_lane((int16_t *)planes->target + at,
                                   wasm_i16x8_narrow_i32x4(whole, whole), 0);
            return;
        }
        value = wasm_f32x4_mul(value, wasm_v128_load(layer->gain + output));
    }
    if (planes->other)
        value = wasm_f32x4_add(value, wasm_v128_load(planes->other + at));
    wasm_v128_store((float *)planes->target + at, value);
}

#endif

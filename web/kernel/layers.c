/* What the page's worker calls of the network half: layers on planes (convolution.h). Functions
 * that can fail return 0, or NULL. */

#include "convolution.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))

enum { COLOURS = 3, SAMPLE_FRACTION = 6, WIDE_FRACTION = 3, WIDE_STEP = 7 };

static int pitch_of(int channels) { return (channels + PITCH - 1) / PITCH * PITCH; }

/* Copy numbers of the outputs, or those of a default where there are none. */
static float *numbers_of(const float *from, int count, int pitch, float otherwise)
{
    float *to = malloc(pitch * sizeof *to);
    for (int output = 0; to && output < pitch; output++)
        to[output] = output >= count ? 0 : from ? from[output] : otherwise;
    return to;
}

static void free_convolution(Convolution *layer)
{
    free(layer->bias);
    free(layer->scale);
    free(layer->gain);
    free(layer->panels);
    free(layer);
}

/* Make a convolution of weights [outputs][inputs][size][size]. `bias`, `scale` and `gain` may be
 * NULL: 0, 1 and 1. */
EXPORT(new_convolution)
Convolution *new_convolution(int is_integer, int inputs, int outputs, int size, int stride,
                             int padding, const float *weights, const float *bias,
                             Finish finish, float slope, const float *scale, const float *gain)
{
    Convolution *layer = calloc(1, sizeof *layer);
    if (!layer)
        return NULL;
    *layer = (Convolution){
        .is_integer = is_integer, .inputs = pitch_of(inputs), .outputs = pitch_of(outputs),
        .size = size, .stride = stride, .padding = padding, .finish = finish, .slope = slope,
        .is_fast = size == 3 && stride == 1 && padding == 1,
    };
    layer->bias = numbers_of(bias, outputs, layer->outputs, 0);
    layer->scale = numbers_of(scale, outputs, layer->outputs, 1);
    layer->gain = numbers_of(gain, outputs, layer->outputs, 1);
    int is_packed = is_integer ? vq_pack_integer(layer, weights, inputs, outputs)
                               : vq_pack_real(layer, weights, inputs, outputs);
    if (is_packed && layer->bias && layer->scale && layer->gain)
        return layer;
    free_convolution(layer);
    return NULL;
}

EXPORT(convolve)
int convolve(const Convolution *layer, const void *source, int rows, int columns,
             const float *other, void *target)
{
    Planes planes = {.source = source, .other = other, .target = target, .rows = rows,
                     .columns = columns};
    return layer->is_integer ? vq_convolve_integer(layer, &planes)
                             : vq_convolve_real(layer, &planes);
}

/* max(0, x) of so many numbers. */
EXPORT(rectify) void rectify(const float *source, size_t count, float *target)
{
    for (size_t number = 0; number < count; number++)
        target[number] = source[number] > 0 ? source[number] : 0;
}

/* Turn factor^2 n channels into n at `factor` times the rows and columns. */
EXPORT(shuffle)
void shuffle(const float *source, int rows, int columns, int channels, int factor, float *target)
{
    int squares = factor * factor, from = pitch_of(channels), to = pitch_of(channels / squares);
    memset(target, 0, (size_t)rows * columns * squares * to * sizeof *target);
    for (int y = 0; y < rows * factor; y++)
        for (int x = 0; x < columns * factor; x++, target += to) {
            const float *position = source
                + ((size_t)(y / factor) * columns + x / factor) * from
                + y % factor * factor + x % factor;
            for (int channel = 0; channel < channels / squares; channel++)
                target[channel] = position[channel * squares];
        }
}

/* Copy `height` rows from `top` and `width` columns from `left` on. */
EXPORT(crop)
void crop(const float *source, int columns, int pitch, int top, int left, int height, int width,
          float *target)
{
    for (int row = 0; row < height; row++, target += (size_t)width * pitch)
        memcpy(target, source + ((size_t)(top + row) * columns + left) * pitch,
               (size_t)width * pitch * sizeof *target);
}

static inline float nearest(float value) { return __builtin_nearbyintf(value); }

static inline float between(float least, float value, float most)
{
    return value < least ? least : value > most ? most : value; /* no number stays none */
}

/* Round x / 2^shift to -128..127, a block's activations. */
EXPORT(digit) void digit(const float *source, size_t count, int shift, int16_t *target)
{
    float scale = 1.0f / (1 << shift);
    for (size_t number = 0; number < count; number++)
        target[number] = (int16_t)between(-128, nearest(source[number] * scale), 127);
}

/* Split x into both digits of a wide layer: of each position the high ones, then the low ones. */
EXPORT(digits)
void digits(const float *source, size_t positions, int pitch, int shift, int16_t *target)
{
    float low = (float)(1 << shift), high = low * (1 << WIDE_STEP);
    for (; positions--; source += pitch, target += 2 * pitch)
        for (int channel = 0; channel < pitch; channel++) {
            float first = between(-128, nearest(source[channel] / high), 127);
            float rest = (source[channel] - first * high) / low;
            target[channel] = (int16_t)first;
            target[pitch + channel] = (int16_t)between(-128, nearest(rest), 127);
        }
}

/* Join sums of high digits and crossed ones, of each position one after the other. */
EXPORT(join_digits)
void join_digits(const float *source, size_t positions, int pitch, const float *bias,
                 const float *scale, float *target)
{
    float unit = 1.0f / (1 << (WIDE_STEP - WIDE_FRACTION));
    for (; positions--; source += 2 * pitch, target += pitch)
        for (int channel = 0; channel < pitch; channel++) {
            float sum = source[channel] * (1 << WIDE_FRACTION)
                + nearest(source[pitch + channel] * unit) + bias[channel];
            target[channel] = nearest(sum * scale[channel]);
        }
}

/* Draw opaque pixels RGBA [height][width][4]. The sample of a colour at row y, column x is that
 * of `plane`, shuffled by `factor`, plus that of `details`, which may be NULL, by `step`. These
 * are integers in units of 2^-6 of a level if `is_integer`, otherwise -1 to 1. `columns` and
 * `detail_columns` are those of the planes. */
EXPORT(draw)
void draw(const float *plane, int columns, int factor, const float *details, int detail_columns,
          int step, int is_integer, int height, int width, uint8_t *pixels)
{
    int pitch = pitch_of(COLOURS * factor * factor), detail_pitch = pitch_of(COLOURS * step * step);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, pixels += 4) {
            const float *from = plane
                + ((size_t)(y / factor) * columns + x / factor) * pitch
                + y % factor * factor + x % factor;
            const float *fine = details
                ? details + ((size_t)(y / step) * detail_columns + x / step) * detail_pitch
                    + y % step * step + x % step
                : NULL;
            for (int colour = 0; colour < COLOURS; colour++) {
                float sum = from[colour * factor * factor];
                if (fine)
                    sum += fine[colour * step * step];
                float level = is_integer ? sum / (1 << SAMPLE_FRACTION)
                                         : (sum * 0.5f + 0.5f) * 255.0f;
                pixels[colour] = level > 0 ? (uint8_t)nearest(level < 255 ? level : 255) : 0;
            }
            pixels[3] = 255;
        }
}

/* Turn pixels RGBA into a plane of -1..1, the last row and column repeated up to its sides. */
EXPORT(undraw)
void undraw(const uint8_t *pixels, int height, int width, int rows, int columns, float *target)
{
    memset(target, 0, (size_t)rows * columns * PITCH * sizeof *target);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++, target += PITCH) {
            const uint8_t *pixel = pixels
                + ((size_t)(y < height ? y : height - 1) * width + (x < width ? x : width - 1)) * 4;
            for (int colour = 0; colour < COLOURS; colour++)
                target[colour] = pixel[colour] / 255.0f * 2.0f - 1.0f;
        }
}

/* The range coder of format/SPEC.md, section 8, for one stream. */
#ifndef VQ_RANGE_CODER_H
#define VQ_RANGE_CODER_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t vq_load_word(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
        | (uint32_t)bytes[3] << 24;
}

typedef struct {
    uint64_t low, range, point;
    const uint8_t *stream;
    size_t words, next;
} RangeDecoder;

static inline uint32_t vq_next_word(RangeDecoder *decoder)
{
    if (decoder->next >= decoder->words)
        return 0;
    return vq_load_word(decoder->stream + 4 * decoder->next++);
}

static inline void vq_start_decoder(RangeDecoder *decoder, const uint8_t *stream, size_t words)
{
    *decoder = (RangeDecoder){.range = UINT64_MAX, .stream = stream, .words = words};
    decoder->point = (uint64_t)vq_next_word(decoder) << 32;
    decoder->point |= vq_next_word(decoder);
}

static inline void vq_skip_symbol(RangeDecoder *decoder, uint32_t start, uint32_t size)
{
    uint64_t scale = decoder->range >> 24;
    decoder->low += scale * start;
    decoder->range = scale * size;
    if (decoder->range >> 32 == 0) {
        decoder->low <<= 32;
        decoder->range <<= 32;
        decoder->point = decoder->point << 32 | vq_next_word(decoder);
    }
}

/* An encoder, or a decoder's check that the stream is the one that an encoder writes: then
 * words are compared with the stream's instead of written. */
typedef struct {
    uint64_t low, range;
    uint8_t *stream;
    size_t words;      /* room in the stream, or its length */
    size_t written;
    size_t held;       /* words that wait for a carry: the first, and then all FFFFFFFF hex */
    uint32_t first_held;
    int compares;
    int differs;       /* a word did not fit, or is another one */
    int empty;
} RangeEncoder;

static inline void vq_start_encoder(RangeEncoder *encoder, uint8_t *stream, size_t words,
                                    int compares)
{
    *encoder = (RangeEncoder){
        .range = UINT64_MAX, .stream = stream, .words = words, .compares = compares, .empty = 1};
}

static inline void vq_put_word(RangeEncoder *encoder, uint32_t word)
{
    if (encoder->written >= encoder->words) {
        encoder->differs = 1;
        return;
    }
    uint8_t *bytes = encoder->stream + 4 * encoder->written++;
    if (encoder->compares) {
        encoder->differs |= vq_load_word(bytes) != word;
        return;
    }
    for (int byte = 0; byte < 4; byte++)
        bytes[byte] = (uint8_t)(word >> 8 * byte);
}

static inline void vq_release(RangeEncoder *encoder, uint32_t carry)
{
    vq_put_word(encoder, encoder->first_held + carry);
    for (size_t word = 1; word < encoder->held; word++)
        vq_put_word(encoder, carry ? 0 : UINT32_MAX);
    encoder->held = 0;
}

static inline void vq_put_symbol(RangeEncoder *encoder, uint32_t start, uint32_t size)
{
    uint64_t scale = encoder->range >> 24, before = encoder->low;
    encoder->empty = 0;
    encoder->range = scale * size;
    encoder->low += scale * start;
    uint32_t carry = encoder->low < before;
    /* low + range is at most 2^64 if the sum of 64 bits is not less than low, or 0. */
    uint64_t end = encoder->low + encoder->range;
    if (encoder->held && (carry || end >= encoder->low || end == 0))
        vq_release(encoder, carry);
    if (encoder->range >> 32 == 0) {
        uint32_t word = (uint32_t)(encoder->low >> 32);
        encoder->low <<= 32;
        encoder->range <<= 32;
        end = encoder->low + encoder->range;
        if (encoder->held) {
            encoder->held++;
        } else if (end < encoder->low && end != 0) {
            encoder->first_held = word;
            encoder->held = 1;
        } else {
            vq_put_word(encoder, word);
        }
    }
    /* At least one word more follows at the end. */
    encoder->differs |= encoder->written + encoder->held >= encoder->words;
}

static inline void vq_finish_encoder(RangeEncoder *encoder)
{
    if (!encoder->empty) {
        uint64_t point = encoder->low + UINT32_MAX;
        if (encoder->held)
            vq_release(encoder, point < encoder->low);
        vq_put_word(encoder, (uint32_t)(point >> 32));
        if ((encoder->low + encoder->range) >> 32 == point >> 32)
            vq_put_word(encoder, 0);
    }
    if (encoder->compares)
        encoder->differs |= encoder->written != encoder->words;
}

/* What goes on from one tile of a stream to the next. A reader has an encoder too, its check. */
typedef struct RangeCoders {
    RangeDecoder decoder;
    RangeEncoder encoder;
} RangeCoders;

static inline void vq_start_coders(RangeCoders *coders, uint8_t *stream, size_t words, int reads)
{
    vq_start_decoder(&coders->decoder, stream, reads ? words : 0);
    vq_start_encoder(&coders->encoder, stream, words, reads);
}

#endif

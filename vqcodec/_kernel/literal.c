/* Pixels coded exactly: each is predicted by what followed neighbourhoods like its own.
 *
 * An encoder knows the pixels, a decoder reads them; all else is the same for both. A decoder
 * encodes again what it reads, as a stream has one form only. */

#include "literal.h"

#include "range_coder.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHANNELS = 3,
    INPUTS = 5,              /* predictions of a bit of a channel */
    FLAG_INPUTS = 4,         /* predictions of whether a pixel is a candidate */
    CANDIDATES = 4,
    KNOWN_BITS = 22,
    COUNT_BITS = 10,
    COUNT_MAX = 127,
    SEEN_MAX = 15,
    ROW_PIXELS = 16,         /* left of the pixel, which its memory of rows goes by */
    MARGIN = ROW_PIXELS,     /* columns left and right of the tile, of colour 0 */
    SQUASH_HALF = SQUASHES / 2,
    WEIGHT_FIRST = 20000,
    WEIGHT_MAX = 1 << 20,
    COUNT_SLOTS = 1 << 17,
    SURFACE_SLOTS = 1 << 15,
    FLAG_SETS = 1 << 13,
    BIT_SETS = CHANNELS << 6,
    WORDS_PER_PIXEL = 15     /* most that its 28 decisions of at most 16.01 bits take */
};

/* What followed a neighbourhood when it was last met. */
typedef struct {
    uint32_t colour;
    uint32_t seen; /* how often in succession; 0: the neighbourhood was not met */
} Memory;

enum { WIDE, ROW, NEAR, MEMORIES };

/* Colours around a pixel: letters are steps to the west, north and east. */
typedef struct {
    uint32_t w, ww, www, n, nw, ne, nww, nee, nn, nnw, nne;
} Around;

typedef struct {
    int encodes, bits;
    RangeDecoder decoder;
    RangeEncoder encoder;
    const int32_t *stretch, *squash;
    int32_t rates[COUNT_MAX + 1];
    uint32_t factor_of_row; /* of the pixel that leaves the memory of rows */
    Memory *memories[MEMORIES];
    uint32_t *tables[INPUTS], *flags[2]; /* slots: a chance in KNOWN_BITS, a count in COUNT_BITS */
    uint32_t counts[COUNT_SLOTS], surfaces[SURFACE_SLOTS];
    int32_t flag_weights[FLAG_SETS][FLAG_INPUTS], bit_weights[BIT_SETS][INPUTS];
    uint32_t *rows[3];      /* of colours, the pixel's own first; with margins */
} Coder;

static inline uint32_t hash(uint32_t a, uint32_t b)
{
    a *= 0x9E3779B1u;
    a = ((a ^ a >> 15) + b) * 0x85EBCA6Bu;
    return a ^ a >> 13;
}

static inline int clamp(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

static inline int code_bit(Coder *coder, int bit, uint32_t *const *slots, int inputs,
                           int32_t *weights)
{
    int32_t stretched[INPUTS];
    int64_t sum = 0;
    for (int input = 0; input < inputs; input++) {
        stretched[input] = coder->stretch[*slots[input] >> 20];
        sum += (int64_t)weights[input] * stretched[input];
    }
    int place = clamp((int)(sum >> 16), -SQUASH_HALF, SQUASH_HALF - 1);
    int32_t chance = coder->squash[place + SQUASH_HALF];
    uint32_t zeros = (uint32_t)(65536 - chance) << 8, ones = (uint32_t)chance << 8;
    if (!coder->encodes) {
        /* A point beyond both is none that an encoder writes: coding it again shows that. */
        bit = coder->decoder.point - coder->decoder.low >= (coder->decoder.range >> 24) * zeros;
        vq_skip_symbol(&coder->decoder, bit ? zeros : 0, bit ? ones : zeros);
    }
    vq_put_symbol(&coder->encoder, bit ? zeros : 0, bit ? ones : zeros);
    int32_t error = (bit << 16) - chance, target = bit ? (1 << KNOWN_BITS) - 1 : 0;
    for (int input = 0; input < inputs; input++) {
        int32_t change = (stretched[input] * error + (1 << 13)) >> 14;
        weights[input] = clamp(weights[input] + change, -WEIGHT_MAX, WEIGHT_MAX);
        uint32_t count = *slots[input] & ((1 << COUNT_BITS) - 1);
        int32_t known = (int32_t)(*slots[input] >> COUNT_BITS);
        known += (int32_t)((int64_t)(target - known) * coder->rates[count] >> 16);
        *slots[input] = (uint32_t)known << COUNT_BITS | (count + (count < COUNT_MAX));
    }
    return bit;
}

/* Code whether the pixel is one of the candidates. Returns whether it is, which colour says. */
static int code_flags(Coder *coder, const Around *around, Memory *const *memories, uint32_t middle,
                      uint32_t *colour)
{
    uint32_t offered[MEMORIES + 3], candidates[CANDIDATES];
    int offers = 0, count = 0;
    for (int kind = 0; kind < MEMORIES; kind++)
        if (memories[kind]->seen)
            offered[offers++] = memories[kind]->colour;
    offered[offers++] = around->w;
    offered[offers++] = around->n;
    offered[offers++] = around->ne;
    int wide = clamp(memories[WIDE]->seen, 0, 3), near = clamp(memories[NEAR]->seen, 0, 7);
    int seen = wide << 6 | clamp(memories[ROW]->seen, 0, 7) << 3 | near;
    int surface = (around->w == around->n) | (around->w == around->nw) << 1
        | (around->n == around->ne) << 2 | (around->w == around->ww) << 3
        | (around->n == around->nn) << 4 | (around->n == around->nw) << 5;
    for (int offer = 0; offer < offers && count < CANDIDATES; offer++) {
        uint32_t candidate = offered[offer];
        int is_known = 0;
        for (int earlier = 0; earlier < count; earlier++)
            is_known |= candidates[earlier] == candidate;
        if (is_known)
            continue;
        int agreement = count << 7 | (around->w == candidate) | (around->n == candidate) << 1
            | (around->nw == candidate) << 2 | (around->ne == candidate) << 3;
        for (int kind = 0; kind < MEMORIES; kind++)
            agreement |= (memories[kind]->seen && memories[kind]->colour == candidate)
                << (4 + kind);
        uint32_t beside = hash(hash(around->w, around->n), candidate + (uint32_t)count);
        uint32_t *const slots[FLAG_INPUTS] = {
            &coder->counts[agreement << 8 | seen],
            &coder->surfaces[agreement << 6 | surface],
            &coder->flags[0][hash(middle, candidate) >> (32 - coder->bits)],
            &coder->flags[1][beside >> (32 - coder->bits)],
        };
        int32_t *weights = coder->flag_weights[agreement << 4 | wide << 2 | clamp(near, 0, 3)];
        if (code_bit(coder, *colour == candidate, slots, FLAG_INPUTS, weights)) {
            *colour = candidate;
            return 1;
        }
        candidates[count++] = candidate;
    }
    return 0;
}

/* A channel of a colour: the first is 0..255, the others are signed. */
static inline int channel(uint32_t colour, int number)
{
    int value = (int)(colour >> 8 * number & 255);
    return number && value > 127 ? value - 256 : value;
}

/* Code a pixel's channels, bit by bit. */
static uint32_t code_channels(Coder *coder, const Around *around, uint32_t colour)
{
    uint32_t coded = 0, earlier = 0, errors = 0;
    for (int number = 0; number < CHANNELS; number++) {
        int w = channel(around->w, number), n = channel(around->n, number);
        int nw = channel(around->nw, number), ne = channel(around->ne, number);
        int gradient = w + n - nw, least = w < n ? w : n, most = w < n ? n : w;
        int guess = clamp(gradient, least, most);
        int change = abs(w - nw) + abs(n - nw) + abs(n - ne);
        int activity = change < 3 ? change
            : change < 6 ? 3 : change < 12 ? 4 : change < 24 ? 5 : change < 48 ? 6 : 7;
        uint32_t smooth = (uint32_t)((2 * w + 2 * n + ne - nw) >> 2);
        uint32_t up = (uint32_t)(n + ne - channel(around->nne, number));
        uint32_t left = (uint32_t)(2 * w - channel(around->ww, number));
        uint32_t contexts[INPUTS] = {
            hash(earlier, (uint32_t)number),
            hash(hash(around->w, earlier), (uint32_t)number),
            hash(hash((uint32_t)guess, (uint32_t)activity), errors + (uint32_t)number),
            hash(smooth, errors + (uint32_t)number),
            hash(hash(up, left), (uint32_t)number),
        };
        int wanted = (int)(colour >> 8 * number & 255), node = 1;
        for (int bit = 7; bit >= 0; bit--) {
            uint32_t *slots[INPUTS];
            if (bit == 3)
                for (int input = 0; input < INPUTS; input++)
                    contexts[input] = hash(contexts[input], (uint32_t)node);
            int half = bit > 3 ? node : 1 << (3 - bit) | (node & ((1 << (3 - bit)) - 1));
            for (int input = 0; input < INPUTS; input++)
                slots[input] =
                    &coder->tables[input][contexts[input] >> (32 - coder->bits + 2) << 4 | half];
            int32_t *weights = coder->bit_weights[number << 6 | bit << 3 | activity];
            node = node << 1 | code_bit(coder, wanted >> bit & 1, slots, INPUTS, weights);
        }
        uint32_t value = (uint32_t)node & 255;
        coded |= value << 8 * number;
        earlier = hash(earlier, value + 1);
        errors = hash(errors, (uint32_t)((channel(value << 8 * number, number) - guess) >> 1));
    }
    return coded;
}

static void remember(Memory *memory, uint32_t colour)
{
    if (memory->seen && memory->colour == colour) {
        memory->seen += memory->seen < SEEN_MAX;
    } else if (memory->seen > 1) {
        memory->seen >>= 1;
    } else {
        memory->colour = colour;
        memory->seen = 1;
    }
}

/* Code the row that lies in coder->rows[0], from its first pixel on. */
static void code_row(Coder *coder, int columns)
{
    uint32_t *own = coder->rows[0], *above = coder->rows[1], *higher = coder->rows[2];
    uint32_t last = 0;
    for (int x = MARGIN; x < MARGIN + columns; x++) {
        Around around = {
            .w = own[x - 1], .ww = own[x - 2], .www = own[x - 3], .n = above[x],
            .nw = above[x - 1], .ne = above[x + 1], .nww = above[x - 2], .nee = above[x + 2],
            .nn = higher[x], .nnw = higher[x - 1], .nne = higher[x + 1],
        };
        uint32_t near = hash(hash(hash(around.w, around.n), around.nw), around.ne);
        uint32_t middle = hash(hash(near, around.ww), around.nn);
        uint32_t wide = hash(hash(middle, around.nne), around.nnw);
        wide = hash(hash(hash(wide, around.nee), around.nww), around.www);
        uint32_t row = hash(hash(hash(last, around.n), around.nw), around.ne);
        int shift = 32 - coder->bits;
        Memory *const memories[MEMORIES] = {
            &coder->memories[WIDE][wide >> shift],
            &coder->memories[ROW][row >> shift],
            &coder->memories[NEAR][near >> shift],
        };
        uint32_t colour = own[x];
        if (!code_flags(coder, &around, memories, middle, &colour))
            colour = code_channels(coder, &around, colour);
        own[x] = colour;
        for (int kind = 0; kind < MEMORIES; kind++)
            remember(memories[kind], colour);
        last = last * 0x9E3779B1u + colour - own[x - ROW_PIXELS] * coder->factor_of_row;
    }
}

static uint32_t *new_slots(size_t count)
{
    uint32_t *slots = malloc(count * sizeof *slots);
    for (size_t slot = 0; slots && slot < count; slot++)
        slots[slot] = UINT32_C(1) << 31;
    return slots;
}

static void free_coder(Coder *coder)
{
    if (!coder)
        return;
    for (int kind = 0; kind < MEMORIES; kind++)
        free(coder->memories[kind]);
    for (int input = 0; input < INPUTS; input++)
        free(coder->tables[input]);
    free(coder->flags[0]);
    free(coder->flags[1]);
    for (int row = 0; row < 3; row++)
        free(coder->rows[row]);
    free(coder);
}

static Coder *new_coder(const LiteralTile *tile, int encodes)
{
    Coder *coder = calloc(1, sizeof *coder);
    if (!coder)
        return NULL;
    coder->encodes = encodes;
    coder->stretch = tile->stretch;
    coder->squash = tile->squash;
    uint64_t places = (uint64_t)tile->rows * tile->columns;
    for (coder->bits = 6; coder->bits < 18 && UINT64_C(1) << coder->bits < places;)
        coder->bits++;
    int whole = 1;
    for (int kind = 0; kind < MEMORIES; kind++)
        whole &= (coder->memories[kind] = calloc((size_t)1 << coder->bits, sizeof(Memory))) != NULL;
    for (int input = 0; input < INPUTS; input++)
        whole &= (coder->tables[input] = new_slots((size_t)4 << coder->bits)) != NULL;
    for (int input = 0; input < 2; input++)
        whole &= (coder->flags[input] = new_slots((size_t)1 << coder->bits)) != NULL;
    for (int row = 0; row < 3; row++)
        whole &= (coder->rows[row] = calloc((size_t)tile->columns + 2 * MARGIN,
                                            sizeof(uint32_t))) != NULL;
    if (!whole) {
        free_coder(coder);
        return NULL;
    }
    for (int slot = 0; slot < COUNT_SLOTS; slot++)
        coder->counts[slot] = UINT32_C(1) << 31;
    for (int slot = 0; slot < SURFACE_SLOTS; slot++)
        coder->surfaces[slot] = UINT32_C(1) << 31;
    for (int set = 0; set < FLAG_SETS; set++)
        for (int input = 0; input < FLAG_INPUTS; input++)
            coder->flag_weights[set][input] = WEIGHT_FIRST;
    for (int set = 0; set < BIT_SETS; set++)
        for (int input = 0; input < INPUTS; input++)
            coder->bit_weights[set][input] = WEIGHT_FIRST;
    for (int count = 0; count <= COUNT_MAX; count++)
        coder->rates[count] = 655360 / (10 * count + 16);
    coder->factor_of_row = 1;
    for (int pixel = 0; pixel < ROW_PIXELS; pixel++)
        coder->factor_of_row *= 0x9E3779B1u;
    return coder;
}

/* Make the last row the one above, and room for another. */
static void next_row(Coder *coder)
{
    uint32_t *oldest = coder->rows[2];
    coder->rows[2] = coder->rows[1];
    coder->rows[1] = coder->rows[0];
    coder->rows[0] = oldest;
}

LiteralOutcome vq_decode_literal(LiteralTile *tile)
{
    Coder *coder = new_coder(tile, 0);
    if (!coder)
        return LITERAL_NO_MEMORY;
    vq_start_decoder(&coder->decoder, tile->stream, tile->words);
    vq_start_encoder(&coder->encoder, tile->stream, tile->words, 1);
    uint8_t *samples = tile->pixels;
    for (int y = 0; y < tile->rows && !coder->encoder.differs; y++) {
        code_row(coder, tile->columns);
        for (int x = 0; x < tile->columns; x++, samples += 3) {
            uint32_t colour = coder->rows[0][MARGIN + x];
            samples[0] = (uint8_t)(colour + (colour >> 8));
            samples[1] = (uint8_t)colour;
            samples[2] = (uint8_t)(colour + (colour >> 16));
        }
        next_row(coder);
    }
    if (!coder->encoder.differs)
        vq_finish_encoder(&coder->encoder);
    LiteralOutcome outcome = coder->encoder.differs ? LITERAL_CORRUPT : LITERAL_DONE;
    free_coder(coder);
    return outcome;
}

/* See to it that the words of a row, and those at the end, have room. */
static int make_room(RangeEncoder *encoder, int columns)
{
    size_t wanted = encoder->written + encoder->held + (size_t)columns * WORDS_PER_PIXEL + 8;
    if (wanted <= encoder->words)
        return 1;
    wanted += wanted / 2;
    uint8_t *stream = wanted > SIZE_MAX / 4 ? NULL : realloc(encoder->stream, 4 * wanted);
    if (!stream)
        return 0;
    encoder->stream = stream;
    encoder->words = wanted;
    return 1;
}

LiteralOutcome vq_encode_literal(LiteralTile *tile)
{
    Coder *coder = new_coder(tile, 1);
    if (!coder)
        return LITERAL_NO_MEMORY;
    vq_start_encoder(&coder->encoder, NULL, 0, 0);
    const uint8_t *samples = tile->pixels;
    int has_room = 1;
    for (int y = 0; y < tile->rows && has_room; y++) {
        for (int x = 0; x < tile->columns; x++, samples += 3) {
            uint32_t green = samples[1];
            coder->rows[0][MARGIN + x] = green | (uint32_t)(uint8_t)(samples[0] - green) << 8
                | (uint32_t)(uint8_t)(samples[2] - green) << 16;
        }
        has_room = make_room(&coder->encoder, tile->columns);
        if (has_room)
            code_row(coder, tile->columns);
        next_row(coder);
    }
    if (has_room)
        vq_finish_encoder(&coder->encoder);
    tile->stream = coder->encoder.stream;
    tile->words = coder->encoder.written;
    free_coder(coder);
    return has_room ? LITERAL_DONE : LITERAL_NO_MEMORY;
}

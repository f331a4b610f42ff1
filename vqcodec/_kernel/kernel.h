/* The exact half of the codec in C11: a prior's network in memory, and what is done with it.
 *
 * Python has checked every number of a model and proved that no sum of a layer reaches 2^24
 * (vqcodec/prior); network.c checks the sizes of what it is given. Streams are hostile.
 */
#ifndef VQ_KERNEL_H
#define VQ_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum {
    LANES = 16,            /* outputs of a layer that are computed side by side */
    WORD = 4,              /* inputs of a layer that are multiplied side by side */
    PRECISION = 24,        /* frequencies sum to 2^24 */
    TOTAL = 1 << PRECISION,
    DEPTHS = 401,          /* entries of the table of powers: beyond the last one it is 0 */
    SCALES = 1024,         /* entries of the table of precisions */
    SCALE_FIRST = -64,
    STREAM_MAX = 32767,    /* of the residual stream and of means */
    ACTIVATION_MAX = 127,
    LOGIT_OFFSET = 1 << 28 /* added to logits of codewords, which it makes positive */
};

typedef struct {
    int down, right; /* rows and columns from the position that reads */
} Tap;

typedef struct {
    Tap *taps;
    int count;
    int depth; /* how many steps back the farthest one is, and 1 for the step itself */
} Taps;

typedef struct {
    int inputs, outputs;
    int words, blocks;   /* inputs in words and outputs in lanes, rounded up */
    int8_t *weight;      /* [blocks][words][LANES][WORD], zeros beyond inputs and outputs */
    int32_t *bias;       /* [blocks * LANES] */
    int32_t *correction; /* [blocks * LANES]: 128 times the sum of an output's weights */
    uint8_t *shift;      /* [blocks * LANES] */
} Layer;

/* G groups of d numbers with K codewords each. */
typedef struct {
    int slice, groups, codewords, dimensions;
    int32_t *places;    /* [G][d]: the numbers of a position that a group stands for */
    int16_t *vectors;   /* [G][d][K], of Gaussian heads alone */
    int16_t *bias;      /* [G][K], of Gaussian heads alone */
    float *norms;       /* [G][K], of Gaussian heads alone: squared lengths of codewords */
    int8_t *embedding;  /* [G][K][d]: what the layers read of an index */
} Block;

typedef struct {
    int channels;       /* C: features of a position */
    int numbers;        /* D: what is read of a position by its own later slices */
    int reads;          /* Z: how many of them later positions read */
    Taps first_taps, *layer_taps; /* those of each layer */
    Layer first, *layers;
    int layer_count;
    int32_t *offset;    /* [C], added to what the first layer gives */
    int slice_count;
    int *starts;        /* [slices + 1]: the first number of each slice */
    Layer *hidden, *output;
    int32_t *precisions; /* [SCALES] of Gaussian heads; NULL: outputs are the logits */
    Block *blocks;
    int block_count;
    int groups;         /* G: indices of a position, of all blocks */
    int logits;         /* of a position, of all blocks */
    int most_codewords, most_hidden, most_outputs;
    int most_neighbours; /* inputs of a layer of the trunk */
    int32_t powers[DEPTHS];
} Network;

typedef struct {
    enum { DECODE, ENCODE_KNOWN, ENCODE_CHEAPEST, TABLES } task;
    int rows, columns;
    int32_t *indices;         /* [rows][columns][G]: read if they are known, else written */
    uint8_t *stream;          /* read by a decoder, written by an encoder */
    size_t words;             /* of the stream; an encoder's room, and then what it has written */
    struct RangeCoders *coders; /* of a stream that goes on from tile to tile; or NULL */
    const int32_t *offsets;   /* [rows][columns][C], instead of the network's; or NULL */
    const float *latents;     /* [rows][columns][D], scaled, for the cheapest indices */
    float per_logit;          /* squared distance that a logit is worth */
    int32_t *logits, *frequencies; /* [rows][columns][logits], of TABLES */
} Tile;

typedef enum { DONE, CORRUPT, NO_MEMORY } Outcome;

typedef struct {
    const char *name;
    int (*available)(void);
    Outcome (*code)(const Network *, Tile *);
} Level;

extern const Level vq_portable;
#if defined(__x86_64__) || defined(_M_X64)
#define VQ_SSE2 1
extern const Level vq_sse2;
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define VQ_X86 1
extern const Level vq_avx2, vq_avxvnni, vq_avx512vnni;
#endif
#if defined(__aarch64__) && defined(__GNUC__)
#define VQ_ARM64 1
extern const Level vq_neondot;
#endif
extern const Level *const vq_levels[]; /* the fastest first */
extern const int vq_level_count;

/* Of network.c. The packers copy what they are given; they return 0 if memory runs out. */
int vq_pack_layer(Layer *layer, int inputs, int outputs, const int8_t *weight,
                  const int32_t *bias, const uint8_t *shift);
int vq_pack_taps(Taps *taps, const int32_t *offsets, int count);
void *vq_copy(const void *from, size_t size);
/* Set what follows from the rest. Returns what is wrong, or NULL. */
const char *vq_complete(Network *network);
void vq_free(Network *network);

/* Of functions whose arguments are constants at each call, so that sums stay in registers. */
#ifdef __GNUC__
#define ALWAYS_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define ALWAYS_INLINE __forceinline
#else
#define ALWAYS_INLINE inline
#endif

/* Numbers rounded up to whole words or lanes. */
static inline int vq_round_up(int count, int unit) { return (count + unit - 1) / unit * unit; }

#endif

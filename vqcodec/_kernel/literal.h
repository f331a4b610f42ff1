/* The coding of pixels of format/SPEC.md, section "Literal pixels": one tile of 8-bit RGB. */
#ifndef VQ_LITERAL_H
#define VQ_LITERAL_H

#include <stddef.h>
#include <stdint.h>

enum { STRETCHES = 4096, SQUASHES = 6144 };

typedef struct {
    int rows, columns;
    uint8_t *pixels;         /* [rows][columns][3]: read by an encoder, written by a decoder */
    uint8_t *stream;         /* read by a decoder; an encoder's is made with malloc */
    size_t words;            /* of the stream */
    const int32_t *stretch;  /* [STRETCHES] */
    const int32_t *squash;   /* [SQUASHES] */
} LiteralTile;

typedef enum { LITERAL_DONE, LITERAL_CORRUPT, LITERAL_NO_MEMORY } LiteralOutcome;

LiteralOutcome vq_decode_literal(LiteralTile *tile);
LiteralOutcome vq_encode_literal(LiteralTile *tile);

#endif

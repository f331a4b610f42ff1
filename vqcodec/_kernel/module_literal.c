/* Literal pixels for Python. */

#include "module_literal.h"

#include "literal.h"

#include <stdlib.h>

/* Take the sizes and arrays that both directions have. Returns 0 and raises if they are wrong. */
static int take_tile(LiteralTile *tile, const Py_buffer *pixels, const Py_buffer *stretch,
                     const Py_buffer *squash)
{
    int is_right = tile->rows > 0 && tile->columns > 0
        && pixels->len / 3 / tile->columns == tile->rows
        && pixels->len == (Py_ssize_t)tile->rows * tile->columns * 3
        && stretch->len == STRETCHES * sizeof(int32_t)
        && squash->len == SQUASHES * sizeof(int32_t);
    if (!is_right)
        PyErr_SetString(PyExc_ValueError, "an array has not the size of the tile or table");
    tile->pixels = pixels->buf;
    tile->stretch = stretch->buf;
    tile->squash = squash->buf;
    return is_right;
}

PyObject *vq_decode_pixels(PyObject *module, PyObject *arguments)
{
    (void)module;
    LiteralTile tile = {0};
    Py_buffer stream, pixels, stretch, squash;
    if (!PyArg_ParseTuple(arguments, "iiy*w*y*y*", &tile.rows, &tile.columns, &stream, &pixels,
                          &stretch, &squash))
        return NULL;
    PyObject *result = NULL;
    if (take_tile(&tile, &pixels, &stretch, &squash)) {
        LiteralOutcome outcome = LITERAL_CORRUPT;
        tile.stream = stream.buf;
        tile.words = stream.len / 4;
        if (stream.len % 4 == 0) {
            Py_BEGIN_ALLOW_THREADS
            outcome = vq_decode_literal(&tile);
            Py_END_ALLOW_THREADS
        }
        result = outcome == LITERAL_NO_MEMORY ? PyErr_NoMemory()
                                              : PyBool_FromLong(outcome == LITERAL_DONE);
    }
    PyBuffer_Release(&stream);
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&stretch);
    PyBuffer_Release(&squash);
    return result;
}

PyObject *vq_encode_pixels(PyObject *module, PyObject *arguments)
{
    (void)module;
    LiteralTile tile = {0};
    Py_buffer pixels, stretch, squash;
    if (!PyArg_ParseTuple(arguments, "iiy*y*y*", &tile.rows, &tile.columns, &pixels, &stretch,
                          &squash))
        return NULL;
    PyObject *result = NULL;
    if (take_tile(&tile, &pixels, &stretch, &squash)) {
        LiteralOutcome outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = vq_encode_literal(&tile);
        Py_END_ALLOW_THREADS
        result = outcome == LITERAL_DONE
            ? PyBytes_FromStringAndSize((char *)tile.stream, 4 * tile.words)
            : PyErr_NoMemory();
        free(tile.stream);
    }
    PyBuffer_Release(&pixels);
    PyBuffer_Release(&stretch);
    PyBuffer_Release(&squash);
    return result;
}

/* The Python module vqcodec._kernel.native; native.pyi says what it offers. */

#include "module_coder.h"
#include "module_literal.h"
#include "module_network.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 1 << 20 }; /* rows or columns of a tile */

typedef struct {
    PyObject_HEAD
    Network network;
} NetworkObject;

static PyObject *network_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)names;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    NetworkObject *self = (NetworkObject *)allocate(type, 0);
    if (!self)
        return NULL;
    const char *wrong = NULL;
    if (!vq_take_network(&self->network, arguments) || (wrong = vq_complete(&self->network))) {
        if (wrong)
            PyErr_Format(PyExc_ValueError, "the network is not consistent: %s", wrong);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void network_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    vq_free(&((NetworkObject *)self)->network);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static const Level *find_level(const char *name)
{
    for (int number = 0; number < vq_level_count; number++)
        if (strcmp(vq_levels[number]->name, name) == 0 && vq_levels[number]->available())
            return vq_levels[number];
    PyErr_Format(PyExc_ValueError, "there is no level %s on this processor", name);
    return NULL;
}

static int has_items(const Py_buffer *view, size_t places, int each, size_t size)
{
    if ((size_t)view->len == places * each * size)
        return 1;
    PyErr_SetString(PyExc_ValueError, "an array has not the size of the tile");
    return 0;
}

static int sides_are_right(const Tile *tile)
{
    if (0 < tile->rows && tile->rows <= MOST_SIDE && 0 < tile->columns
        && tile->columns <= MOST_SIDE && tile->rows <= MOST_SIDE / tile->columns)
        return 1;
    PyErr_SetString(PyExc_ValueError, "a tile has 1 to 2^20 positions");
    return 0;
}

/* Take the offsets of a tile whose sides are right, if there are any. */
static int take_offsets(Tile *tile, const Network *network, const Py_buffer *offsets)
{
    tile->offsets = offsets->buf;
    return !offsets->buf
           || has_items(offsets, (size_t)tile->rows * tile->columns, network->channels, 4);
}

static Outcome code(const Level *level, const Network *network, Tile *tile)
{
    Outcome outcome;
    Py_BEGIN_ALLOW_THREADS
    outcome = level->code(network, tile);
    Py_END_ALLOW_THREADS
    if (outcome == NO_MEMORY)
        PyErr_NoMemory();
    return outcome;
}

static PyObject *network_decode(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {.task = DECODE};
    const char *name;
    Py_buffer stream, indices, offsets = {0};
    if (!PyArg_ParseTuple(arguments, "siiy*w*z*", &name, &tile.rows, &tile.columns, &stream,
                          &indices, &offsets))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    if (level && sides_are_right(&tile) && take_offsets(&tile, network, &offsets)
        && has_items(&indices, (size_t)tile.rows * tile.columns, network->groups, 4)) {
        tile.indices = indices.buf;
        tile.stream = stream.buf;
        tile.words = stream.len / 4;
        Outcome outcome = stream.len % 4 ? CORRUPT : code(level, network, &tile);
        if (outcome != NO_MEMORY)
            result = PyBool_FromLong(outcome == DONE);
    }
    PyBuffer_Release(&stream);
    PyBuffer_Release(&indices);
    PyBuffer_Release(&offsets);
    return result;
}

static PyObject *network_encode(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {.task = ENCODE_KNOWN};
    const char *name;
    Py_buffer indices, latents = {0}, offsets = {0};
    if (!PyArg_ParseTuple(arguments, "siiw*z*fz*", &name, &tile.rows, &tile.columns, &indices,
                          &latents, &tile.per_logit, &offsets))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    size_t places = (size_t)tile.rows * tile.columns;
    if (level && sides_are_right(&tile) && take_offsets(&tile, network, &offsets)
        && has_items(&indices, places, network->groups, 4)
        && (!latents.buf || has_items(&latents, places, network->numbers, sizeof(float)))) {
        tile.indices = indices.buf;
        tile.latents = latents.buf;
        if (latents.buf && network->precisions)
            tile.task = ENCODE_CHEAPEST;
        /* A symbol takes a word at most, the end two. */
        tile.words = places * network->groups + 2;
        tile.stream = malloc(4 * tile.words);
        Outcome outcome = tile.stream ? code(level, network, &tile) : NO_MEMORY;
        if (outcome == DONE)
            result = PyBytes_FromStringAndSize((char *)tile.stream, 4 * tile.words);
        else if (outcome == CORRUPT)
            PyErr_SetString(PyExc_ValueError, "an index has no codeword");
        else if (!PyErr_Occurred())
            PyErr_NoMemory();
        free(tile.stream);
    }
    PyBuffer_Release(&indices);
    PyBuffer_Release(&latents);
    PyBuffer_Release(&offsets);
    return result;
}

static PyObject *network_tables(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {.task = TABLES};
    const char *name;
    Py_buffer indices, logits, frequencies, offsets = {0};
    if (!PyArg_ParseTuple(arguments, "siiw*w*w*z*", &name, &tile.rows, &tile.columns, &indices,
                          &logits, &frequencies, &offsets))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    size_t places = (size_t)tile.rows * tile.columns;
    if (level && sides_are_right(&tile) && take_offsets(&tile, network, &offsets)
        && has_items(&indices, places, network->groups, 4)
        && has_items(&logits, places, network->logits, 4)
        && has_items(&frequencies, places, network->logits, 4)) {
        tile.indices = indices.buf;
        tile.logits = logits.buf;
        tile.frequencies = frequencies.buf;
        tile.words = places * network->groups + 2;
        tile.stream = malloc(4 * tile.words);
        Outcome outcome = tile.stream ? code(level, network, &tile) : NO_MEMORY;
        if (outcome == DONE)
            result = Py_NewRef(Py_None);
        else if (outcome == CORRUPT)
            PyErr_SetString(PyExc_ValueError, "an index has no codeword");
        else if (!PyErr_Occurred())
            PyErr_NoMemory();
        free(tile.stream);
    }
    PyBuffer_Release(&indices);
    PyBuffer_Release(&logits);
    PyBuffer_Release(&frequencies);
    PyBuffer_Release(&offsets);
    return result;
}

static PyObject *network_code(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {0};
    const char *name;
    PyObject *given, *result = NULL;
    Py_buffer indices, offsets = {0};
    if (!PyArg_ParseTuple(arguments, "siiOw*z*", &name, &tile.rows, &tile.columns, &given,
                          &indices, &offsets))
        return NULL;
    CoderObject *coder = NULL;
    const Level *level = find_level(name);
    if (level && sides_are_right(&tile) && take_offsets(&tile, network, &offsets)
        && has_items(&indices, (size_t)tile.rows * tile.columns, network->groups, 4)
        && (coder = vq_take_coder(given))) {
        tile.task = coder->reads ? DECODE : ENCODE_KNOWN;
        tile.indices = indices.buf;
        tile.coders = &coder->coders;
        Outcome outcome = code(level, network, &tile);
        coder->busy = 0;
        if (outcome == CORRUPT && !coder->reads)
            PyErr_SetString(PyExc_ValueError, "an index has no codeword");
        else if (outcome != NO_MEMORY)
            result = PyBool_FromLong(outcome == DONE);
    }
    PyBuffer_Release(&indices);
    PyBuffer_Release(&offsets);
    return result;
}

static PyMethodDef network_methods[] = {
    {"code", network_code, METH_VARARGS, NULL},
    {"decode", network_decode, METH_VARARGS, NULL},
    {"encode", network_encode, METH_VARARGS, NULL},
    {"tables", network_tables, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot network_slots[] = {
    {Py_tp_new, network_new},
    {Py_tp_dealloc, network_dealloc},
    {Py_tp_methods, network_methods},
    {0, NULL},
};

static PyType_Spec network_spec = {
    .name = "vqcodec._kernel.native.Network",
    .basicsize = sizeof(NetworkObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = network_slots,
};

static PyObject *available_levels(PyObject *module, PyObject *nothing)
{
    (void)module, (void)nothing;
    PyObject *names = PyList_New(0);
    for (int number = 0; names && number < vq_level_count; number++) {
        if (!vq_levels[number]->available())
            continue;
        PyObject *name = PyUnicode_FromString(vq_levels[number]->name);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    PyObject *result = names ? PyList_AsTuple(names) : NULL;
    Py_XDECREF(names);
    return result;
}

static PyMethodDef module_methods[] = {
    {"levels", available_levels, METH_NOARGS, NULL},
    {"decode_pixels", vq_decode_pixels, METH_VARARGS, NULL},
    {"encode_pixels", vq_encode_pixels, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Returns whether it failed. */
static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    int failed = !type || PyModule_AddObjectRef(module, name, type) < 0;
    Py_XDECREF(type);
    return failed;
}

static int module_exec(PyObject *module)
{
    return add_type(module, "Network", &network_spec) || add_type(module, "Coder", &vq_coder_spec)
        ? -1
        : 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "vqcodec._kernel.native",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&definition); }

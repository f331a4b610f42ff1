/* The Python module vqcodec._kernel.native; native.pyi says what it offers. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

enum { MOST_SIDE = 1 << 20 }; /* rows or columns of a tile */

typedef struct {
    PyObject_HEAD
    Network network;
} NetworkObject;

/* Copy a buffer of exactly `count` items, or raise ValueError. */
static void *copy_buffer(PyObject *from, size_t count, size_t size)
{
    Py_buffer view;
    if (PyObject_GetBuffer(from, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    void *to = NULL;
    if ((size_t)view.len != count * size)
        PyErr_Format(PyExc_ValueError, "a buffer has %zd bytes, not %zu", view.len, count * size);
    else if ((to = vq_copy(view.buf, count * size)) == NULL)
        PyErr_NoMemory();
    PyBuffer_Release(&view);
    return to;
}

static int is_size(int value) { return 0 < value && value <= 1 << 20; }

/* Take a layer from (inputs, outputs, weight, bias, shift). */
static int take_layer(Layer *layer, PyObject *from)
{
    int inputs, outputs, done = 0;
    PyObject *weight, *bias, *shift;
    if (!PyArg_ParseTuple(from, "iiOOO", &inputs, &outputs, &weight, &bias, &shift))
        return 0;
    if (!is_size(inputs) || !is_size(outputs)) {
        PyErr_SetString(PyExc_ValueError, "sizes of a layer");
        return 0;
    }
    int8_t *weights = copy_buffer(weight, (size_t)inputs * outputs, 1);
    int32_t *biases = weights ? copy_buffer(bias, outputs, sizeof *biases) : NULL;
    uint8_t *shifts = biases ? copy_buffer(shift, outputs, 1) : NULL;
    if (shifts) {
        done = vq_pack_layer(layer, inputs, outputs, weights, biases, shifts);
        if (!done)
            PyErr_NoMemory();
    }
    free(weights);
    free(biases);
    free(shifts);
    return done;
}

/* Make an array of zeros with an item for each of a tuple's. */
static void *items_of(PyObject *tuple, size_t size, int *count)
{
    Py_ssize_t length = PyTuple_Size(tuple);
    if (length < 0)
        return NULL;
    if (length > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "too many items");
        return NULL;
    }
    void *items = calloc(length ? length : 1, size);
    if (!items)
        PyErr_NoMemory();
    else
        *count = (int)length;
    return items;
}

static int take_layers(Layer **layers, int *count, PyObject *tuple)
{
    *layers = items_of(tuple, sizeof **layers, count);
    if (!*layers)
        return 0;
    for (int number = 0; number < *count; number++)
        if (!take_layer(&(*layers)[number], PyTuple_GetItem(tuple, number)))
            return 0;
    return 1;
}

/* Take a block from (slice, groups, codewords, dimensions, places, embedding, vectors, bias,
 * norms), the last three None for a categorical head. */
static int take_block(Block *block, PyObject *from)
{
    PyObject *places, *embedding, *vectors, *bias, *norms;
    if (!PyArg_ParseTuple(from, "iiiiOOOOO", &block->slice, &block->groups, &block->codewords,
                          &block->dimensions, &places, &embedding, &vectors, &bias, &norms))
        return 0;
    if (!is_size(block->groups) || !is_size(block->codewords) || !is_size(block->dimensions)
        || block->groups > INT_MAX / block->codewords
        || block->groups > INT_MAX / block->dimensions) {
        PyErr_SetString(PyExc_ValueError, "sizes of a block");
        return 0;
    }
    size_t rows = (size_t)block->groups * block->codewords;
    size_t numbers = rows * block->dimensions;
    block->places = copy_buffer(places, (size_t)block->groups * block->dimensions,
                                sizeof *block->places);
    block->embedding = block->places ? copy_buffer(embedding, numbers, 1) : NULL;
    if (!block->embedding || vectors == Py_None)
        return block->embedding != NULL;
    block->vectors = copy_buffer(vectors, numbers, sizeof *block->vectors);
    block->bias = block->vectors ? copy_buffer(bias, rows, sizeof *block->bias) : NULL;
    block->norms = block->bias ? copy_buffer(norms, rows, sizeof *block->norms) : NULL;
    return block->norms != NULL;
}

static int take_blocks(Network *network, PyObject *tuple)
{
    network->blocks = items_of(tuple, sizeof *network->blocks, &network->block_count);
    if (!network->blocks)
        return 0;
    for (int number = 0; number < network->block_count; number++)
        if (!take_block(&network->blocks[number], PyTuple_GetItem(tuple, number)))
            return 0;
    return 1;
}

static int take_taps(Taps *taps, PyObject *from, int count)
{
    int32_t *offsets = copy_buffer(from, 2 * (size_t)count, sizeof *offsets);
    if (!offsets)
        return 0;
    int done = vq_pack_taps(taps, offsets, count);
    if (!done)
        PyErr_NoMemory();
    free(offsets);
    return done;
}

/* Take the slices: their hidden and output layers and where they start. */
static int take_slices(Network *network, PyObject *starts, PyObject *hidden, PyObject *output)
{
    int outputs;
    int right = PyTuple_Size(hidden) == PyTuple_Size(output) && PyTuple_Size(hidden) > 0;
    if (right) {
        if (!take_layers(&network->hidden, &network->slice_count, hidden)
            || !take_layers(&network->output, &outputs, output))
            return 0;
        network->starts = copy_buffer(starts, (size_t)network->slice_count + 1, sizeof(int32_t));
        if (!network->starts)
            return 0;
        right = network->starts[0] == 0;
        for (int slice = 0; slice < network->slice_count; slice++)
            right &= network->starts[slice] < network->starts[slice + 1]
                && is_size(network->starts[slice + 1]);
        network->numbers = network->starts[network->slice_count];
    }
    if (!right)
        PyErr_SetString(PyExc_ValueError, "the network is not consistent: slices");
    return right;
}

static int take_tables(Network *network, PyObject *precisions, PyObject *powers)
{
    if (precisions != Py_None) {
        network->precisions = copy_buffer(precisions, SCALES, sizeof *network->precisions);
        if (!network->precisions)
            return 0;
    }
    int32_t *table = copy_buffer(powers, DEPTHS, sizeof *table);
    if (table)
        memcpy(network->powers, table, sizeof network->powers);
    int done = table != NULL;
    free(table);
    return done;
}

static int take_network(Network *network, PyObject *arguments)
{
    PyObject *first_taps, *inner_taps, *first, *layers, *offset, *starts, *hidden, *output;
    PyObject *precisions, *blocks, *powers;
    int first_count, inner_count;
    if (!PyArg_ParseTuple(arguments, "iiiiOOO!O!OOO!O!OO!O", &network->channels, &network->reads,
                          &first_count, &inner_count, &first_taps, &inner_taps, &PyTuple_Type,
                          &first, &PyTuple_Type, &layers, &offset, &starts, &PyTuple_Type, &hidden,
                          &PyTuple_Type, &output, &precisions, &PyTuple_Type, &blocks, &powers))
        return 0;
    if (!is_size(network->channels) || !is_size(network->reads) || !is_size(first_count)
        || !is_size(inner_count)) {
        PyErr_SetString(PyExc_ValueError, "the network is not consistent: sizes");
        return 0;
    }
    if (!take_taps(&network->first_taps, first_taps, first_count)
        || !take_taps(&network->inner_taps, inner_taps, inner_count)
        || !take_layer(&network->first, first)
        || !take_layers(&network->layers, &network->layer_count, layers))
        return 0;
    network->offset = copy_buffer(offset, network->channels, sizeof *network->offset);
    return network->offset && take_slices(network, starts, hidden, output)
        && take_tables(network, precisions, powers) && take_blocks(network, blocks);
}

static PyObject *network_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)names;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    NetworkObject *self = (NetworkObject *)allocate(type, 0);
    if (!self)
        return NULL;
    const char *wrong = NULL;
    if (!take_network(&self->network, arguments) || (wrong = vq_complete(&self->network))) {
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
    Py_buffer stream, indices;
    if (!PyArg_ParseTuple(arguments, "siiy*w*", &name, &tile.rows, &tile.columns, &stream,
                          &indices))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    if (level && sides_are_right(&tile)
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
    return result;
}

static PyObject *network_encode(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {.task = ENCODE_KNOWN};
    const char *name;
    Py_buffer indices, latents = {0};
    if (!PyArg_ParseTuple(arguments, "siiw*z*f", &name, &tile.rows, &tile.columns, &indices,
                          &latents, &tile.per_logit))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    size_t places = (size_t)tile.rows * tile.columns;
    if (level && sides_are_right(&tile) && has_items(&indices, places, network->groups, 4)
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
    return result;
}

static PyObject *network_tables(PyObject *self, PyObject *arguments)
{
    const Network *network = &((NetworkObject *)self)->network;
    Tile tile = {.task = TABLES};
    const char *name;
    Py_buffer indices, logits, frequencies;
    if (!PyArg_ParseTuple(arguments, "siiw*w*w*", &name, &tile.rows, &tile.columns, &indices,
                          &logits, &frequencies))
        return NULL;
    PyObject *result = NULL;
    const Level *level = find_level(name);
    size_t places = (size_t)tile.rows * tile.columns;
    if (level && sides_are_right(&tile) && has_items(&indices, places, network->groups, 4)
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
    return result;
}

static PyMethodDef network_methods[] = {
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
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&network_spec);
    int failed = !type || PyModule_AddObjectRef(module, "Network", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
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

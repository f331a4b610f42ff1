/* A network taken from what Python hands over: tuples, and arrays by the buffer protocol. */

#include "module_network.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

/* Take taps from (count, offsets). */
static int take_taps(Taps *taps, PyObject *from)
{
    int count;
    PyObject *buffer;
    if (!PyArg_ParseTuple(from, "iO", &count, &buffer))
        return 0;
    if (!is_size(count)) {
        PyErr_SetString(PyExc_ValueError, "the network is not consistent: taps");
        return 0;
    }
    int32_t *offsets = copy_buffer(buffer, 2 * (size_t)count, sizeof *offsets);
    if (!offsets)
        return 0;
    int done = vq_pack_taps(taps, offsets, count);
    if (!done)
        PyErr_NoMemory();
    free(offsets);
    return done;
}

/* Take the layers of the trunk that follow the first one, and their taps. */
static int take_trunk(Network *network, PyObject *taps, PyObject *layers)
{
    if (PyTuple_Size(taps) != PyTuple_Size(layers)) {
        PyErr_SetString(PyExc_ValueError, "the network is not consistent: taps");
        return 0;
    }
    int count;
    network->layer_taps = items_of(taps, sizeof *network->layer_taps, &count);
    if (!network->layer_taps || !take_layers(&network->layers, &network->layer_count, layers))
        return 0;
    for (int number = 0; number < count; number++)
        if (!take_taps(&network->layer_taps[number], PyTuple_GetItem(taps, number)))
            return 0;
    return 1;
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

int vq_take_network(Network *network, PyObject *arguments)
{
    PyObject *first_taps, *layer_taps, *first, *layers, *offset, *starts, *hidden, *output;
    PyObject *precisions, *blocks, *powers;
    if (!PyArg_ParseTuple(arguments, "iiO!O!O!O!OOO!O!OO!O", &network->channels, &network->reads,
                          &PyTuple_Type, &first_taps, &PyTuple_Type, &layer_taps, &PyTuple_Type,
                          &first, &PyTuple_Type, &layers, &offset, &starts, &PyTuple_Type, &hidden,
                          &PyTuple_Type, &output, &precisions, &PyTuple_Type, &blocks, &powers))
        return 0;
    if (!is_size(network->channels) || !is_size(network->reads)) {
        PyErr_SetString(PyExc_ValueError, "the network is not consistent: sizes");
        return 0;
    }
    if (!take_taps(&network->first_taps, first_taps) || !take_layer(&network->first, first)
        || !take_trunk(network, layer_taps, layers))
        return 0;
    network->offset = copy_buffer(offset, network->channels, sizeof *network->offset);
    return network->offset && take_slices(network, starts, hidden, output)
        && take_tables(network, precisions, powers) && take_blocks(network, blocks);
}

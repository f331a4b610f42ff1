/* Streams of several tiles for Python. */

#include "module_coder.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SYMBOLS = 1 << 28 };

static PyObject *coder_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)names;
    Py_buffer stream = {0};
    int symbols;
    if (!PyArg_ParseTuple(arguments, "z*i", &stream, &symbols))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    CoderObject *self = NULL;
    if (symbols < 0 || symbols > MOST_SYMBOLS || stream.len % 4) {
        PyErr_SetString(PyExc_ValueError, "a stream is 32-bit words of 0 to 2^28 symbols");
    } else if ((self = (CoderObject *)allocate(type, 0))) {
        self->reads = stream.buf != NULL;
        /* A symbol takes a word at most, the end two. */
        size_t words = self->reads ? (size_t)stream.len / 4 : (size_t)symbols + 2;
        self->stream = malloc(4 * words + 1);
        if (!self->stream) {
            PyErr_NoMemory();
            Py_CLEAR(self);
        } else {
            if (self->reads)
                memcpy(self->stream, stream.buf, 4 * words);
            vq_start_coders(&self->coders, self->stream, words, self->reads);
        }
    }
    PyBuffer_Release(&stream);
    return (PyObject *)self;
}

static void coder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(((CoderObject *)self)->stream);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

CoderObject *vq_take_coder(PyObject *given)
{
    CoderObject *coder = (CoderObject *)given;
    if (PyType_GetSlot(Py_TYPE(given), Py_tp_dealloc) != (void *)coder_dealloc) {
        PyErr_SetString(PyExc_TypeError, "a Coder is needed");
        return NULL;
    }
    if (coder->busy || coder->finished) {
        PyErr_SetString(PyExc_ValueError, "the coder is finished, or another thread has it");
        return NULL;
    }
    coder->busy = 1;
    return coder;
}

static PyObject *coder_finish(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    CoderObject *coder = vq_take_coder(self);
    if (!coder)
        return NULL;
    RangeEncoder *encoder = &coder->coders.encoder;
    vq_finish_encoder(encoder);
    coder->finished = 1;
    if (!encoder->differs)
        return PyBytes_FromStringAndSize((char *)coder->stream, 4 * encoder->written);
    if (coder->reads)
        return Py_NewRef(Py_None);
    PyErr_SetString(PyExc_ValueError, "there were more symbols than room was made for");
    return NULL;
}

static PyMethodDef coder_methods[] = {
    {"finish", coder_finish, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot coder_slots[] = {
    {Py_tp_new, coder_new},
    {Py_tp_dealloc, coder_dealloc},
    {Py_tp_methods, coder_methods},
    {0, NULL},
};

PyType_Spec vq_coder_spec = {
    .name = "vqcodec._kernel.native.Coder",
    .basicsize = sizeof(CoderObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = coder_slots,
};

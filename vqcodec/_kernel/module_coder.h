/* What module.c needs of module_coder.c: a stream of several tiles; see native.pyi. */
#ifndef VQ_MODULE_CODER_H
#define VQ_MODULE_CODER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "range_coder.h"

typedef struct {
    PyObject_HEAD
    RangeCoders coders;
    uint8_t *stream;
    int reads;
    int busy;     /* a thread codes with it */
    int finished;
} CoderObject;

extern PyType_Spec vq_coder_spec;

/* Take a coder for a thread. Returns NULL and raises if it is none, or finished, or another
 * thread has it. */
CoderObject *vq_take_coder(PyObject *given);

#endif

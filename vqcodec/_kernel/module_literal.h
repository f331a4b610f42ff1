/* What module.c needs of module_literal.c: two functions of the module; see native.pyi. */
#ifndef VQ_MODULE_LITERAL_H
#define VQ_MODULE_LITERAL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

PyObject *vq_decode_pixels(PyObject *module, PyObject *arguments);
PyObject *vq_encode_pixels(PyObject *module, PyObject *arguments);

#endif

/* What module.c needs of module_network.c. */
#ifndef VQ_MODULE_NETWORK_H
#define VQ_MODULE_NETWORK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernel.h"

/* Fill a network of zeros from the arguments of Network in native.pyi. Returns 0 and raises if
 * they are wrong; what was taken until then is left to vq_free. */
int vq_take_network(Network *network, PyObject *arguments);

#endif

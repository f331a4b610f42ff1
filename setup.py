"""The C kernel, an optional extension: without a compiler the package is installed all the same.

`VQCODEC_PURE=1 python -m build` makes a wheel without it, which is the same for all machines.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

FOLDER = "vqcodec/_kernel"
MSVC = ["/std:c11", "/O2", "/fp:precise"]
OTHERS = ["-std=c11", "-O3", "-g0", "-ffp-contract=off"]
# From 3.11 on the limited interface has buffers, and one wheel serves all later Pythons.
LIMITED = sys.version_info >= (3, 11) and sys.implementation.name == "cpython"

kernel = Extension(
    "vqcodec._kernel.native",
    sorted(path.as_posix() for path in Path(FOLDER).glob("*.c")),
    depends=sorted(path.as_posix() for path in Path(FOLDER).glob("*.[hi]*")),
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    extra_compile_args=MSVC if sys.platform == "win32" else OTHERS,
    py_limited_api=LIMITED,
    optional=True,
)
if os.environ.get("VQCODEC_PURE"):
    setup()
else:
    options = {"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {}
    setup(ext_modules=[kernel], options=options)

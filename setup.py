"""The C kernel, an optional extension: without a compiler the package is installed all the same."""

import sys

from setuptools import Extension, setup

# From 3.11 on the limited interface has buffers, and one wheel serves all later Pythons.
LIMITED = sys.version_info >= (3, 11) and sys.implementation.name == "cpython"
SOURCES = (
    "module",
    "network",
    "levels",
    "portable",
    "avx2",
    "avxvnni",
    "avx512vnni",
    "neondot",
)
HEADERS = ("kernel.h", "range_coder.h", "tile.inc")
MSVC = sys.platform == "win32"

setup(
    ext_modules=[
        Extension(
            "vqcodec._kernel.native",
            [f"vqcodec/_kernel/{name}.c" for name in SOURCES],
            depends=[f"vqcodec/_kernel/{name}" for name in HEADERS],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
            extra_compile_args=(
                ["/std:c11", "/O2", "/fp:precise"]
                if MSVC
                else ["-std=c11", "-O3", "-g0", "-ffp-contract=off"]
            ),
            py_limited_api=LIMITED,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)

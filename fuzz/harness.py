"""One target under atheris: `python fuzz/harness.py TARGET [libFuzzer's options] [CORPUS...]`.

`run.py` starts this with its limits. Of everything imported only vqcodec is instrumented.
"""

from __future__ import annotations

import resource
import sys
import warnings
from random import Random

import atheris
from mutator import MUTATORS

with atheris.instrument_imports(include=["vqcodec"]):
    import targets

ADDRESSES = 12 << 30
"""Bytes of address space: an allocation beyond it raises MemoryError, which is a fault."""


def main() -> None:
    """Fuzz until the executions are done or a fault is found."""
    name = sys.argv.pop(1)
    change = MUTATORS[name]

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        def plain(part: bytes) -> bytes:
            return bytes(atheris.Mutate(part, len(part) + 8))

        return change(data, Random(seed), plain)[:max_size]

    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    atheris.Setup(sys.argv, targets.TARGETS[name], custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

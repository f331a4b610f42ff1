"""Networks run by ONNX Runtime on the CPU. It is imported when a network first runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from vqcodec import processors
from vqcodec.engines.graph import INPUT, OUTPUT, crop_inputs, onnx_model
from vqcodec.engines.layers import Network, crop_boxes
from vqcodec.grid import Box

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_lock = threading.Lock()
_sessions: WeakKeyDictionary[OrtEngine, dict[int, InferenceSession]] = WeakKeyDictionary()
"""What ONNX Runtime has prepared, for each number of threads."""


def _before_fork() -> None:
    """Let no session be inherited, nor a lock that another thread holds.

    A session's threads do not survive a fork. A child that ran it, or only let go of it when it
    ends, would wait for them for ever.
    """
    _lock.acquire()
    _sessions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class OrtEngine:
    """A network on the CPU; see `engine.Engine`.

    ONNX Runtime prepares it once for each number of threads, when first needed.
    """

    def __init__(self, network: Network, weights: Mapping[str, NDArray]) -> None:
        """`weights` are those of `engine.make_engine`."""
        self._network = network
        self._weights = weights

    @property
    def is_concurrent(self) -> bool:
        """Yes: threads that share an input wait for each other after every layer."""
        return True

    def run(
        self, values: NDArray[np.float32], *, inner: Box | None = None, threads: int | None = None
    ) -> NDArray[np.float32]:
        """Map (channels, rows, columns) to what the network makes of it, (channels, r, c).

        With `inner`, some of the rows and columns of `values`, only to what belongs to these; the
        rest are their surroundings. `threads` None are as many as `processors.threads` says.
        """
        rows, columns = values.shape[1:]
        inner = inner or (slice(0, rows), slice(0, columns))
        feed: dict[str, NDArray] = {INPUT: np.ascontiguousarray(values)[None]}
        for number, kept in enumerate(crop_boxes(self._network, (rows, columns), inner)):
            starts, stops = crop_inputs(number)
            feed[starts] = np.array([side.start for side in kept], dtype=np.int64)
            feed[stops] = np.array([side.stop for side in kept], dtype=np.int64)
        session = self._session(threads or processors.threads())
        result: NDArray[np.float32] = session.run([OUTPUT], feed)[0][0]
        return result

    def _session(self, threads: int) -> InferenceSession:
        with _lock:
            sessions = _sessions.setdefault(self, {})
            if threads not in sessions:
                sessions[threads] = _make_session(onnx_model(self._network, self._weights), threads)
            return sessions[threads]


def load_runtime() -> ModuleType:
    """Import onnxruntime, without its telemetry unless the user's setting asks for that.

    From version 1.29 on it reports its use to its maker, from a thread that makes forked
    processes hang when they end. Calling it again is free, and one loaded already stays as it is.
    """
    name = "ORT_DISABLE_TELEMETRY"
    added = "onnxruntime" not in sys.modules and name not in os.environ
    if added:
        os.environ[name] = "1"  # is read once, while the library is loaded
    try:
        return import_module("onnxruntime")
    finally:
        if added:
            del os.environ[name]


def _make_session(model: bytes, threads: int) -> InferenceSession:
    runtime = load_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait sleep: spinning ones take the time of other processes' threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of memory is made for each size of the input, and sizes differ.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors; they are raised too
    session: InferenceSession = runtime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return session

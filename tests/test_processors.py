"""How many processors there are to use, and torch's threads beside others and after forks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from vqcodec import processors

Groups = Callable[..., None]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Pretend that there are 8 processors, and make control groups."""
    monkeypatch.setattr(processors, "_CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(processors, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)

    def make(membership: str, files: dict[str, str]) -> None:
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return make


@pytest.mark.parametrize(
    ("membership", "files", "count"),
    [
        ("", {}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("0::/on/the/host\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/../../out\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "4:memory:/\n1:cpu,cpuacct:/a\n0::/\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "150000\n",
                "cpu,cpuacct/a/cpu.cfs_period_us": "50000\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "50000\n",
            },
            3,
        ),
    ],
)
def test_granted(groups: Groups, membership: str, files: dict[str, str], count: int) -> None:
    groups(membership, files)
    assert processors.granted() == count


def test_granted_by_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processors, "_MEMBERSHIP", tmp_path / "none")
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", {0: {3, 5, 9}}.get)
        assert processors.granted() == 3
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors.granted() == 6


def printed(code: str, **environment: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if key not in processors._WAITING}
    line = [sys.executable, "-c", code]
    return subprocess.run(
        line, env=inherited | environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout


# Prints the OpenMP settings that torch sees while it is loaded, and those that are left.
SETTINGS = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(sorted(n for n in os.environ if n in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")))
sys.meta_path.insert(0, Finder())
{load}
print(sorted(n for n in os.environ if n in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")))
"""


@pytest.mark.skipif(not find_spec("torch"), reason="needs torch")
@pytest.mark.parametrize(
    "load",
    [
        "from vqcodec import processors; processors.load_torch()",
        "from vqcodec.engines.devices import pick_device; pick_device('auto')",
        "import os; os.environ['VQCODEC_ENGINE'] = 'torch'; import vqcodec; vqcodec.load_model()",
    ],
)
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(load: str) -> None:
    code = SETTINGS.format(load=load)
    assert printed(code).split("\n")[-3:-1] == ["['GOMP_SPINCOUNT', 'OMP_WAIT_POLICY']", "[]"]
    assert printed(code, OMP_WAIT_POLICY="ACTIVE").split("\n")[-3:-1] == ["['OMP_WAIT_POLICY']"] * 2


# Two threads have worked here when processes are forked, which then have but one of them.
FORKING = """
import multiprocessing, sys
import numpy as np
import vqcodec
from vqcodec import processors
processors.prepare(2)
picture = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
def work(number):
    data = vqcodec.compress(picture, model=sys.argv[1])
    return data, vqcodec.decompress(data, model=sys.argv[1]).tobytes()
here = work(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(4)) == [here] * 4
print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_forked_processes_work(engine: str, photo_data: bytes, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    model = tmp_path / "model.safetensors"
    model.write_bytes(photo_data)
    code = FORKING.replace("sys.argv[1]", repr(str(model)))
    assert printed(code, VQCODEC_ENGINE=engine) == "same\n"


# A thread holds the models' lock while a process is forked.
LOCKED = """
import os, threading, time
from vqcodec.registry import load
held = threading.Event()
def hold():
    with load._lock:
        held.set()
        time.sleep(0.2)
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    os._exit(0 if load._lock.acquire(timeout=10) else 1)
print(os.waitpid(child, 0)[1], load._lock.acquire(timeout=10))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork")
def test_no_lock_is_held_over_a_fork() -> None:
    assert printed(LOCKED) == "0 True\n"

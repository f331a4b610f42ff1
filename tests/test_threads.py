"""Parts of a picture that are worked on at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import product

import pytest

from vqcodec import processors
from vqcodec.codec.threads import in_threads


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = processors._threads
    yield
    processors._threads = before


@pytest.mark.parametrize(
    ("threads", "parts", "most", "at_once", "each"),
    [
        (4, 9, None, 4, 1),
        (4, 2, None, 2, 2),
        (16, 9, 4, 4, 4),
        (3, 9, 2, 2, 1),
        (2, 9, 4, 2, 1),
    ],
)
def test_parts_share_the_threads(
    threads: int, parts: int, most: int | None, at_once: int, each: int
) -> None:
    processors._threads = threads
    met = threading.Barrier(at_once)
    lock, running = threading.Lock(), [0, 0]

    def work(number: int) -> tuple[int, int]:
        with lock:
            running[0] += 1
            running[1] = max(running)
        if number < at_once:
            met.wait(timeout=30)  # the first ones do not go on before all of them are there
        with lock:
            running[0] -= 1
        return number, processors.threads()

    assert list(in_threads(work, range(parts), most=most)) == [(n, each) for n in range(parts)]
    assert running[1] == at_once
    assert processors.threads() == threads


@pytest.mark.parametrize(("threads", "parts"), [*product((1, 4), (0, 1))])
def test_one_part_has_all_threads(threads: int, parts: int) -> None:
    processors._threads = threads
    here = threading.get_ident()

    def work(number: int) -> tuple[bool, int]:
        return threading.get_ident() == here, processors.threads()

    assert list(in_threads(work, range(parts))) == [(True, threads)] * parts


def test_parts_of_parts_have_their_share() -> None:
    processors._threads = 4

    def work(_: int) -> list[int]:
        return list(in_threads(lambda _: processors.threads(), range(2)))

    assert list(in_threads(work, range(2))) == [[1, 1]] * 2


def test_a_fault_in_a_part_is_raised() -> None:
    processors._threads = 2

    def work(number: int) -> int:
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        list(in_threads(work, range(8)))

"""Writing files side by side: whole or not at all, failures alone, memory bounded, ends that don't hang."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import count

import pytest

from paidleave.fineos.eligibility_feed.delivery import FAILURES_IN_A_ROW, Delivered, Delivery, OutputFailed
from paidleave.fineos.eligibility_feed.feed_format import head
from paidleave.fineos.eligibility_feed.rows import Part


def whole(number: int, rows: bytes = b"row\r\n") -> Part:
    return Part(number, 1, rows, first=True, last=True)


def in_parts(number: int, records: int) -> list[Part]:
    return [Part(number, records, b"%d\r\n" % n, first=n == 0, last=n == records - 1) for n in range(records)]


class Shelf:
    """Keeps what is written; ``broken`` names fail after their first chunk."""

    def __init__(self, *broken: str) -> None:
        self.files: dict[str, bytes] = {}
        self.broken = set(broken)

    def write(self, uri: str, chunks: Iterable[bytes]) -> None:
        received = []
        for chunk in chunks:
            received.append(chunk)
            if uri in self.broken:
                raise OSError(28, "No space left on device", uri)
        self.files[uri] = b"".join(received)


@pytest.mark.parametrize("at_once", [False, True])
def test_files_of_one_part_and_of_many_are_written_whole(at_once: bool) -> None:
    shelf, done = Shelf(), list[Delivered]()
    with Delivery(shelf.write, 3, done.append, at_once=at_once) as delivery:
        delivery.put(whole(1), "one")
        for part in in_parts(2, 50):
            delivery.put(part, "two")
        delivery.put(whole(3), "three")
    assert shelf.files == {
        "one": head(1, 1) + b"row\r\n",
        "two": head(2, 50) + b"".join(b"%d\r\n" % n for n in range(50)),
        "three": head(3, 1) + b"row\r\n",
    }
    assert done == [Delivered(1, 1, None), Delivered(2, 50, None), Delivered(3, 1, None)]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_file_that_fails_fails_alone_whatever_its_size(at_once: bool) -> None:
    shelf, done = Shelf("one", "two"), list[Delivered]()
    with Delivery(shelf.write, 2, done.append, at_once=at_once) as delivery:
        delivery.put(whole(1), "one")
        for part in in_parts(2, 50):
            delivery.put(part, "two")
        delivery.put(whole(3), "three")
    assert list(shelf.files) == ["three"]
    assert [(file.fineos_employer_id, file.error) for file in done] == [
        (1, "OSError 28"),
        (2, "OSError 28"),
        (3, None),
    ]


def test_many_failures_in_a_row_end_the_export_with_what_to_do() -> None:
    shelf, done = Shelf(*map(str, range(1000))), list[Delivered]()

    def feed() -> None:
        with Delivery(shelf.write, 2, done.append) as delivery:
            for number in range(1000):
                delivery.put(whole(number), str(number))

    with pytest.raises(OutputFailed, match=r"20 files in a row .* OSError 28.*OUTPUT_DIRECTORY_PATH"):
        feed()
    assert len(done) == FAILURES_IN_A_ROW


def test_failures_with_successes_between_do_not_end_it() -> None:
    shelf, done = Shelf(*(str(number) for number in range(200) if number % 10)), list[Delivered]()
    with Delivery(shelf.write, 2, done.append) as delivery:
        for number in range(200):
            delivery.put(whole(number), str(number))
    assert sum(file.error is None for file in done) == len(shelf.files) == 20


def test_an_exception_gives_an_unfinished_file_up_and_ends_all_threads() -> None:
    shelf, done = Shelf(), list[Delivered]()

    def feed() -> None:
        with Delivery(shelf.write, 2, done.append) as delivery:
            delivery.put(in_parts(1, 9)[0], "unfinished")
            raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="the database is gone"):
        feed()
    assert "unfinished" not in shelf.files
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


def test_only_so_many_files_and_parts_are_in_memory() -> None:
    """Writers that stand still stop the reader; nothing piles up."""
    gate, started = threading.Event(), count()
    taken = 0

    def slow(uri: str, chunks: Iterable[bytes]) -> None:
        next(started)
        gate.wait()
        for _ in chunks:
            pass

    def feed() -> None:
        nonlocal taken
        with Delivery(slow, 2, lambda _: None) as delivery:
            for number in range(100):
                delivery.put(whole(number), str(number))
                taken += 1

    reader = threading.Thread(target=feed)
    reader.start()
    reader.join(0.3)
    assert reader.is_alive()
    assert taken == 4  # two threads, two files each
    gate.set()
    reader.join(20)
    assert taken == 100

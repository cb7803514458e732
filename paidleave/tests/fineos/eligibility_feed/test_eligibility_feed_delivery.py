"""Concurrent writing of files: complete files only, isolated failures, bounded memory, termination."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import count

import pytest

from paidleave.fineos.eligibility_feed.delivery import FAILURES_IN_A_ROW, DeliveredFile, Delivery, OutputFailed
from paidleave.fineos.eligibility_feed.feed_format import build_header
from paidleave.fineos.eligibility_feed.rows import Part


def build_part(number: int, rows: bytes = b"row\r\n") -> Part:
    return Part(number, 1, rows, first=True, last=True)


def build_parts(number: int, records: int) -> list[Part]:
    return [Part(number, records, b"%d\r\n" % n, first=n == 0, last=n == records - 1) for n in range(records)]


class MemoryStorage:
    """Stores written files in memory. Files in ``broken`` fail after their first chunk."""

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


@pytest.mark.parametrize("write_inline", [False, True])
def test_files_of_one_and_of_many_parts_are_written_completely(write_inline: bool) -> None:
    memory, done = MemoryStorage(), list[DeliveredFile]()
    with Delivery(memory.write, 3, done.append, write_inline=write_inline) as delivery:
        delivery.put(build_part(1), "one")
        for part in build_parts(2, 50):
            delivery.put(part, "two")
        delivery.put(build_part(3), "three")
    assert memory.files == {
        "one": build_header(1, 1) + b"row\r\n",
        "two": build_header(2, 50) + b"".join(b"%d\r\n" % n for n in range(50)),
        "three": build_header(3, 1) + b"row\r\n",
    }
    assert done == [DeliveredFile(1, 1, None), DeliveredFile(2, 50, None), DeliveredFile(3, 1, None)]


@pytest.mark.parametrize("write_inline", [False, True])
def test_a_failed_file_of_any_size_does_not_affect_the_others(write_inline: bool) -> None:
    memory, done = MemoryStorage("one", "two"), list[DeliveredFile]()
    with Delivery(memory.write, 2, done.append, write_inline=write_inline) as delivery:
        delivery.put(build_part(1), "one")
        for part in build_parts(2, 50):
            delivery.put(part, "two")
        delivery.put(build_part(3), "three")
    assert list(memory.files) == ["three"]
    assert [(file.fineos_employer_id, file.error) for file in done] == [
        (1, "OSError 28"),
        (2, "OSError 28"),
        (3, None),
    ]


def test_many_failures_in_a_row_end_the_export_with_an_explanation() -> None:
    memory, done = MemoryStorage(*map(str, range(1000))), list[DeliveredFile]()

    def feed() -> None:
        with Delivery(memory.write, 2, done.append) as delivery:
            for number in range(1000):
                delivery.put(build_part(number), str(number))

    with pytest.raises(OutputFailed, match=r"20 files in a row .* OSError 28.*OUTPUT_DIRECTORY_PATH"):
        feed()
    assert len(done) == FAILURES_IN_A_ROW


def test_failures_that_are_not_in_a_row_do_not_end_the_export() -> None:
    memory, done = MemoryStorage(*(str(number) for number in range(200) if number % 10)), list[DeliveredFile]()
    with Delivery(memory.write, 2, done.append) as delivery:
        for number in range(200):
            delivery.put(build_part(number), str(number))
    assert sum(file.error is None for file in done) == len(memory.files) == 20


def test_an_exception_aborts_an_unfinished_file_and_ends_all_threads() -> None:
    memory, done = MemoryStorage(), list[DeliveredFile]()

    def feed() -> None:
        with Delivery(memory.write, 2, done.append) as delivery:
            delivery.put(build_parts(1, 9)[0], "unfinished")
            raise RuntimeError("the database is gone")

    with pytest.raises(RuntimeError, match="the database is gone"):
        feed()
    assert "unfinished" not in memory.files
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


def test_the_number_of_files_and_parts_in_memory_is_limited() -> None:
    """Blocked writers block the reader."""
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
                delivery.put(build_part(number), str(number))
                taken += 1

    reader = threading.Thread(target=feed)
    reader.start()
    reader.join(0.3)
    assert reader.is_alive()
    assert taken == 4  # two threads with two files each
    gate.set()
    reader.join(20)
    assert taken == 100

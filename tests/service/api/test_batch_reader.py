"""Reads that wait for each other share one SELECT, and none is older than its question."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

import pytest

from service.api.batch_reader import BatchReader
from tests.support.waiting import wait_until


class Table:
    """Notes what it is asked for; answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.open = threading.Event()
        self.version = 0

    def read(self, keys: Collection[str]) -> dict[str, str]:
        self.asked.append(sorted(keys))
        version = self.version
        assert self.open.wait(5)
        return {key: f"{key}{version}" for key in keys if key != "none"}


async def started(table: Table, reads: int) -> None:
    await asyncio.to_thread(wait_until, lambda: len(table.asked) >= reads, 5)


def test_reads_that_come_during_a_read_share_the_next_one() -> None:
    async def scenario() -> None:
        table = Table()
        reader = BatchReader(table.read)
        first = asyncio.create_task(reader.read("a"))
        await started(table, 1)
        table.version = 1
        rest = [asyncio.create_task(reader.read(key)) for key in ("a", "b", "a", "none")]
        await asyncio.sleep(0)  # one turn of the loop, in which each of them asks
        table.open.set()

        assert await first == "a0"
        # The row may have changed after the first read began, so they get it from a read of theirs.
        assert await asyncio.gather(*rest) == ["a1", "b1", "a1", None]
        assert table.asked == [["a"], ["a", "b", "none"]]

    asyncio.run(scenario())


def test_a_reader_that_goes_away_takes_nothing_from_the_others() -> None:
    async def scenario() -> None:
        table = Table()
        reader = BatchReader(table.read)
        leaving, staying = (asyncio.create_task(reader.read("a")) for _ in range(2))
        await started(table, 1)
        leaving.cancel()
        table.open.set()

        assert await staying == "a0"

    asyncio.run(scenario())


def test_a_read_that_fails_fails_for_all_who_wait_and_the_next_one_works() -> None:
    async def scenario() -> None:
        answers = [OSError("gone"), None]

        def read(keys: Collection[str]) -> dict[str, str]:
            if error := answers.pop(0):
                raise error
            return dict.fromkeys(keys, "row")

        reader = BatchReader(read)
        waiting = [asyncio.create_task(reader.read("a")) for _ in range(2)]
        for one in waiting:
            with pytest.raises(OSError, match="gone"):
                await one
        assert await reader.read("a") == "row"

    asyncio.run(scenario())

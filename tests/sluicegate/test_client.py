"""The command line's client: pages, streams that are taken up again, clear errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import pytest

from contracts import (
    LIMITS,
    ConfigurationError,
    PermanentError,
    RunEventType,
    SluicegateError,
    TemporaryError,
)
from sluicegate.client import Client, Response, find_client, refused
from tests.support.doorway import Doorway, open_doorway, tell
from tests.support.polling import until
from tests.support.stored import append, ended, run

T = TypeVar("T")

BEGINNING: tuple[RunEventType, ...] = ("run_created", "run_claimed", "run_started")


@pytest.fixture
async def doorway() -> AsyncIterator[Doorway]:
    """A service that answers."""
    async with open_doorway() as doorway:
        yield doorway


async def here(call: Callable[..., T], *args: Any, **more: Any) -> T:
    """What a blocking call gives, made beside the loop that serves it."""
    return await anyio.to_thread.run_sync(partial(call, *args, **more))


def client(doorway: Doorway) -> Client:
    """The admin's client."""
    return Client(f"http://127.0.0.1:{doorway.port}", doorway.key)


async def a_run(doorway: Doorway, *types: Any, **more: Any) -> str:
    """A run with these events."""
    row, _ = await doorway.store.runs.create(run())
    given = append(row, 1, *BEGINNING, *types, **more)
    await doorway.store.runs.append("default", row.id, given)
    return row.id


async def test_an_answer_is_status_body_and_headers(doorway: Doorway) -> None:
    answer = await here(client(doorway).call, "GET", "/api/v1/version")

    assert (answer.status, answer.body["name"]) == (200, "sluicegate")
    assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_list_is_read_page_by_page_up_to_the_wanted_number(
    doorway: Doorway,
) -> None:
    for _ in range(5):
        await doorway.store.runs.create(run())

    def all_of(most: int) -> list[Any]:
        return list(client(doorway).pages("/api/v1/runs", {"order": "asc"}, most))

    assert len(await here(all_of, 3)) == 3
    assert len(await here(all_of, 99)) == 5


async def test_a_refusal_is_the_problem_that_was_told(doorway: Doorway) -> None:
    def read() -> None:
        list(client(doorway).pages("/api/v1/runs", {"status": "done"}, 9))

    with pytest.raises(PermanentError) as told:
        await here(read)

    assert told.value.code == "invalid"
    assert "status must be one of" in told.value.message


async def test_a_stream_is_followed_to_the_end_of_the_run(doorway: Doorway) -> None:
    run_id = await a_run(doorway, "workflow_complete", state=ended(4))

    events = await here(lambda: list(client(doorway).events(run_id)))

    assert [event.id for event in events] == ["1", "2", "3", "4", ""]
    assert events[-1].type == "end"


async def test_a_run_with_nothing_new_is_only_its_end(doorway: Doorway) -> None:
    run_id = await a_run(doorway, "workflow_complete", state=ended(4))

    events = await here(lambda: list(client(doorway).events(run_id, after=4)))

    assert [event.type for event in events] == ["end"]


async def test_a_stream_cut_for_slowness_is_taken_up_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LIMITS, "sse_buffered_events", 1)
    async with open_doorway() as doorway:
        row, _ = await doorway.store.runs.create(run())
        first = append(row, 1, *BEGINNING)
        await doorway.store.runs.append("default", row.id, first)
        heard: list[str] = []

        def follow() -> None:
            heard.extend(event.id for event in client(doorway).events(row.id))

        async with anyio.create_task_group() as following:
            following.start_soon(here, follow)
            assert await until(lambda: _is_followed(doorway))
            rest = append(
                row,
                4,
                "node_start",
                "node_complete",
                "workflow_complete",
                state=ended(6),
            )
            await doorway.store.runs.append("default", row.id, rest)
            for event in rest.events:
                tell(doorway, row, event)

    assert heard == ["1", "2", "3", "4", "5", "6", ""]


async def test_a_stream_that_is_refused_says_why(doorway: Doorway) -> None:
    def read() -> None:
        list(client(doorway).events("run_01m7y4ad52evcba6zat7tp05c2"))

    with pytest.raises(PermanentError) as told:
        await here(read)

    assert told.value.code == "not_found"


async def test_a_stream_of_a_service_that_stops_ends_with_an_error(
    doorway: Doorway,
) -> None:
    run_id = await a_run(doorway)
    told: list[SluicegateError] = []

    def follow() -> None:
        try:
            list(client(doorway).events(run_id))
        except SluicegateError as error:
            told.append(error)

    async with anyio.create_task_group() as following:
        following.start_soon(here, follow)
        assert await until(lambda: _is_followed(doorway))
        doorway.door.closing.set()

    assert told[0].code == "draining"


async def test_where_nothing_listens_the_address_is_named() -> None:
    nowhere = Client("http://127.0.0.1:1", "")

    with pytest.raises(TemporaryError) as told:
        await here(nowhere.call, "GET", "/healthz")

    assert "Nothing answers at http://127.0.0.1:1" in told.value.message


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://a", "http://", "http:/a"])
def test_what_is_no_address_is_refused_as_such(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Client(url, "")


async def test_an_id_with_odd_characters_stays_within_its_part_of_the_path(
    doorway: Doorway,
) -> None:
    answer = await here(client(doorway).call, "GET", "/api/v1/runs/a b?x=1\n#é")

    assert (answer.status, answer.body["code"]) == (400, "invalid_path")


async def test_what_answers_and_is_no_service_of_ours_is_told_so() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PermanentError) as told:
            await here(Client(f"http://127.0.0.1:{port}", "").call, "GET", "/healthz")

    assert "is not Sluicegate" in told.value.message


def test_address_and_key_are_found_where_the_service_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLUICEGATE_URL", "SLUICEGATE_KEY"):
        monkeypatch.delenv(name, raising=False)

    assert find_client(tmp_path).url == "http://127.0.0.1:8080"
    (tmp_path / "service.url").write_text("http://127.0.0.1:9\n")
    assert find_client(tmp_path).url == "http://127.0.0.1:9"
    monkeypatch.setenv("SLUICEGATE_URL", "http://127.0.0.1:10")
    assert find_client(tmp_path).url == "http://127.0.0.1:10"
    assert find_client(tmp_path, url="http://127.0.0.1:11").url == "http://127.0.0.1:11"


def test_a_problem_without_words_tells_its_status() -> None:
    assert refused(Response(502, None, {})).message == "HTTP status 502"


async def _is_followed(doorway: Doorway) -> bool:
    return bool(doorway.door.streams)

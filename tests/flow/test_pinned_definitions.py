"""What a run began with is what it ends with, whatever becomes of its definitions."""

from __future__ import annotations

from typing import Any

from contracts import JsonObject
from tests.support.definitions import call, end, start, transform, workflow
from tests.support.serving import Served

SIGNAL: JsonObject = {"id": "hold", "type": "wait", "signal": "go"}


def held(word: str) -> JsonObject:
    """Waits for a signal, then says a word and echoes it through a tool."""
    return workflow(
        "held",
        start(),
        SIGNAL,
        transform("word", text=f"{word} ${{start.name}}"),
        call("echo", "repeat", input={"text": "${word.text}"}),
        end(text="${word.text}"),
        edges="start hold, hold word, word echo, echo end",
    )


def repeat(description: str) -> JsonObject:
    """A builtin that answers with its input."""
    return {
        "name": "repeat",
        "description": description,
        "kind": "builtin",
        "function": "echo",
        "effect": "none",
    }


async def test_an_edited_workflow_leaves_open_runs_as_they_began(
    served: Served,
) -> None:
    old = await _held_by(served, "Hello")
    await served.api.call("PUT", "/workflows/held", held("Goodbye"))
    new = await _begin(served)

    ends = [await _end(served, run_id) for run_id in (old, new)]

    assert [run["output"]["text"] for run in ends] == ["Hello Ada", "Goodbye Ada"]
    assert [run["workflow_version"] for run in ends] == [1, 2]
    assert ends[0]["pinned"] != ends[1]["pinned"]


async def test_a_deleted_workflow_still_ends_its_open_runs(served: Served) -> None:
    run_id = await _held_by(served, "Hello")
    deleted = await served.api.call("DELETE", "/workflows/held")
    again = await served.api.call("POST", "/runs", {"workflow": "held"})

    run = await _end(served, run_id)

    assert deleted.status == 200
    assert again.status in (404, 422)
    assert (run["success"], run["output"]) == (True, {"text": "Hello Ada"})


async def test_an_edited_tool_leaves_open_runs_as_they_began(served: Served) -> None:
    run_id = await _held_by(served, "Hello")
    pinned = (await served.api.get(f"/runs/{run_id}"))["pinned"]
    await served.api.call("PUT", "/tools/repeat", repeat("Another one."))

    run = await _end(served, run_id)

    assert run["success"]
    assert run["pinned"] == pinned


async def _held_by(served: Served, word: str) -> str:
    await served.api.post("/tools", repeat("Says it again."))
    await served.api.post("/workflows", held(word))
    return await _begin(served)


async def _begin(served: Served) -> str:
    body = {"workflow": "held", "input": {"name": "Ada"}}
    return str((await served.api.post("/runs", body))["id"])


async def _end(served: Served, run_id: str) -> Any:
    await served.api.post(f"/runs/{run_id}/signal", {"name": "go"})
    async with served.api.stream(f"/runs/{run_id}/events") as response:
        await response.read()

    return await served.api.get(f"/runs/{run_id}")

"""Which model the configuration names, and what a look at it finds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from contracts import ConfigurationError, FunctionResult, ModelRequest, SaidText
from llm import ModelChoice, answer_of, examine_model, open_model
from tests.support.clock import FakeClock

KEY = "sk-a-secret-of-ours"
REQUEST = ModelRequest(
    instructions="", input=(SaidText(role="user", text="Order two apples"),)
)


async def test_without_a_provider_every_call_says_what_to_configure() -> None:
    async with open_model(ModelChoice(), FakeClock()) as model:
        got = await answer_of(model, REQUEST, timeout_s=1)

    assert (got.ending, got.code) == ("unavailable", "model_not_configured")
    assert "llm.provider" in got.message


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ModelChoice("scripted"), "llm.script"),
        (ModelChoice("scripted", script=Path("nowhere.json")), "nowhere.json"),
        (ModelChoice("openai_responses", api_key=KEY), "llm.model"),
        (ModelChoice("openai_responses", "model-1"), "llm.api_key"),
        (ModelChoice("gpt"), "openai_responses"),
    ],
)
async def test_a_choice_that_is_not_whole_is_a_wrong_configuration(
    choice: ModelChoice, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        async with open_model(choice, FakeClock()):
            pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSON"),
        ('{"lines": []}', "lines"),
        ('{"lines": [{"then": {"txt": "Hi"}}]}', "txt"),
        ('{"lines": [{"when": {"said": "("}, "then": {}}]}', "said"),
    ],
)
async def test_a_script_that_cannot_be_read_says_where(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "script.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=said):
        async with open_model(ModelChoice("scripted", script=path), FakeClock()):
            pass


async def test_the_first_line_that_fits_answers_with_its_names_filled_in(
    tmp_path: Path,
) -> None:
    order = {"name": "order", "arguments": {"what": ["{what}", "{unknown}"]}}
    lines = [
        {
            "when": {"results": 1, "result": r'"n": (?P<n>\d+)'},
            "then": {"text": "It is {n}."},
        },
        {"when": {"results": 1}, "then": {"text": "Done."}},
        {"when": {"schema": "answer"}, "then": {"json": {"a": 1}}},
        {"when": {"said": "(?i)order (?P<what>.+)"}, "then": {"calls": [order]}},
        {"then": {"text": "What?"}},
    ]
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"lines": lines}), encoding="utf-8")
    choice = ModelChoice("scripted", script=path)

    async with open_model(choice, FakeClock()) as model:
        got = await answer_of(model, REQUEST, timeout_s=1)
        other = SaidText(role="user", text="Hello")
        lost = REQUEST.model_copy(update={"input": (other,)})
        what = await answer_of(model, lost, timeout_s=1)
        contract = REQUEST.model_copy(update={"output_schema": {"type": "object"}})
        kept = await answer_of(model, contract, timeout_s=1)
        came = [
            await answer_of(model, _with_result(output), timeout_s=1)
            for output in ('{"n": 7}', "{}")
        ]

    assert [one.text for one in came] == ["It is 7.", "Done."]
    [call] = got.calls
    assert json.loads(call.arguments) == {"what": ["two apples", "{unknown}"]}
    assert what.text == "What?"
    assert json.loads(kept.text) == {"a": 1}
    assert {one.provider for one in (got, what, kept)} == {"scripted"}


def _with_result(output: str) -> ModelRequest:
    result = FunctionResult(call_id="call_1", output=output)
    return REQUEST.model_copy(update={"input": (*REQUEST.input, result)})


@pytest.mark.parametrize(
    ("status", "level", "said"),
    [
        (200, "ok", "model-1"),
        (401, "bad", "refuses the key"),
        (404, "note", "no model"),
        (500, "bad", "500"),
    ],
)
async def test_doctor_tells_what_a_provider_says(
    status: int, level: str, said: str
) -> None:
    async with _provider(status) as url:
        choice = ModelChoice("openai_responses", "model-1", KEY, url)
        found = await examine_model(choice)

    assert (found.what, found.level) == ("model", level)
    assert said in found.said
    assert KEY not in found.said


async def test_doctor_tells_of_a_provider_that_is_not_there() -> None:
    choice = ModelChoice("openai_responses", "model-1", KEY, "http://127.0.0.1:1/v1")

    found = await examine_model(choice)

    assert (found.level, "llm.base_url" in found.said) == ("bad", True)


async def test_doctor_tells_that_no_model_or_a_script_is_configured(
    tmp_path: Path,
) -> None:
    path = tmp_path / "script.json"
    path.write_text('{"lines": [{"then": {}}]}', encoding="utf-8")

    none = await examine_model(ModelChoice())
    scripted = await examine_model(ModelChoice("scripted", script=path))
    wrong = await examine_model(ModelChoice("scripted"))

    assert (none.level, scripted.level, wrong.level) == ("note", "note", "bad")
    assert "scripted" in scripted.said


def test_no_key_is_shown_by_a_choice() -> None:
    assert KEY not in repr(ModelChoice("openai_responses", "model-1", KEY))


@asynccontextmanager
async def _provider(status: int) -> AsyncIterator[str]:
    async def models(_: web.Request) -> web.Response:
        return web.json_response({"id": "model-1"}, status=status)

    app = web.Application()
    app.router.add_get("/v1/models/model-1", models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()

"""Telegram: updates become decisions and turns, replies arrive, once each."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import anyio
import pytest
from pydantic import SecretStr

from agents.conversation.desk import Desk
from contracts import Channel, JsonObject, StoreUnavailable, delivery, stamp
from gateways.telegram import hearing, pacing, post, records, statuses, texts
from tests.flow.test_conversations import RULES, greeting
from tests.flow.test_stages import FLOW, PRICES, QUOTE, SORTING
from tests.support.api import Api
from tests.support.bot_api_server import (
    SECRET,
    TOKEN,
    BotApiServer,
    Fault,
    bot_api_server,
    message,
    press,
)
from tests.support.definitions import greet
from tests.support.polling import until
from tests.support.responses_server import (
    Reply,
    ResponsesServer,
    responses_server,
    says,
)
from tests.support.serving import Given, Served, serving

ADA, BOB, EVE = 101, 102, 666


class Telegram(NamedTuple):
    """A service with a bot, and who is on the other side of it."""

    served: Served
    bot: BotApiServer
    provider: ResponsesServer

    @property
    def api(self) -> Api:
        return self.served.api

    async def push(self, *updates: JsonObject) -> list[int]:
        url = f"{self.served.service.url}/telegram/webhook"
        return [await self.bot.push(url, one) for one in updates]

    async def arrived(self, chat_id: int, n: int, within_s: float = 15) -> list[str]:
        """The texts in a chat once there are so many."""

        async def is_there() -> bool:
            return len(self.bot.sent(chat_id)) >= n

        assert await until(is_there, within_s=within_s), self.bot.sent(chat_id)
        return self.bot.sent(chat_id)


def _bot(bot: BotApiServer, mode: str = "webhook") -> dict[str, Any]:
    return {
        "mode": mode,
        "base_url": bot.url,
        "token": SecretStr(TOKEN),
        "secret": SecretStr(SECRET),
        "allow": (f"{ADA}", f"{BOB}:operator,approver"),
    }


@pytest.fixture
async def bot() -> AsyncIterator[BotApiServer]:
    async with bot_api_server() as server:
        yield server


@pytest.fixture
async def provider() -> AsyncIterator[ResponsesServer]:
    async with responses_server() as server:
        yield server


@pytest.fixture
async def telegram(
    given: Given, bot: BotApiServer, provider: ResponsesServer
) -> AsyncIterator[Telegram]:
    settings = given(
        telegram=_bot(bot), llm=provider.settings, gate={"rules": tuple(RULES)}
    )
    async with serving(settings) as served:
        await served.api.post("/workflows", greet())
        yield Telegram(served, bot, provider)


async def test_what_is_written_is_answered_in_the_chat(telegram: Telegram) -> None:
    telegram.provider.will(greeting("Ada"), says("**Ada** was greeted."))

    assert await telegram.push(message(1, ADA, "Greet Ada")) == [200]

    assert await telegram.arrived(ADA, 1) == ["Ada was greeted."]
    sent = telegram.bot.of("sendMessage")[0].given
    assert sent["entities"] == [{"type": "bold", "offset": 0, "length": 3}]
    assert telegram.bot.of("sendChatAction")
    row = (await telegram.api.get("/conversations"))["items"][0]
    history = await telegram.api.get(f"/conversations/{row['id']}/messages")
    assert [one["text"] for one in history["items"]] == [
        "Greet Ada",
        "**Ada** was greeted.",
    ]
    decisions = (await telegram.api.get("/decisions"))["items"]
    assert {one["action"] for one in decisions} >= {
        "conversation.create",
        "conversation.turn",
        "workflow.run",
    }
    run = next(one for one in decisions if one["action"] == "workflow.run")
    assert run["principal"] == f"tg_{ADA}"
    assert run["channel"] == {"kind": "telegram", "address": str(ADA)}
    assert run["conversation_id"] == row["id"]


async def test_a_chat_bound_to_a_flow_gets_the_words_of_its_answer(
    telegram: Telegram,
) -> None:
    await telegram.api.post("/knowledge", PRICES)
    for stage in (QUOTE, SORTING):
        await telegram.api.post("/stages", stage)

    await telegram.api.post("/flows", FLOW)
    telegram.provider.will(
        says('{"kind": "price", "item": "lamp"}'), says('{"price": 7}')
    )

    await telegram.push(message(1, ADA, "/bind desk"))
    await telegram.arrived(ADA, 1)
    await telegram.push(message(2, ADA, "What is a lamp?"))

    assert (await telegram.arrived(ADA, 2))[1] == "That is 7."
    row = (await telegram.api.get("/conversations"))["items"][0]
    path = f"/conversations/{row['id']}"
    assert row["flow"] == "desk"
    assert await telegram.api.get(f"{path}/cached-state") == {"price": 7}
    run = (await telegram.api.get("/runs"))["items"][0]
    assert run["usage"]["tokens"] == 36
    decision = await telegram.api.get(f"/decisions/{run['decision_id']}")
    assert decision["correlation_id"] == run["correlation_id"]


async def test_a_run_tells_its_chat_while_it_goes_on(telegram: Telegram) -> None:
    nodes = [
        {"id": "start", "type": "workflow_start"},
        {"id": "tell", "type": "notify", "text": "**Half** way, ${start.name}."},
        {"id": "nap", "type": "wait", "seconds": 0.5},
        {"id": "end", "type": "workflow_end", "output": {"id": "${tell.delivery_id}"}},
    ]
    edges = ["start tell", "tell nap", "nap end"]
    pairs = [edge.split() for edge in edges]
    definition = {
        "name": "slow",
        "nodes": nodes,
        "edges": [{"from": source, "to": target} for source, target in pairs],
    }
    await telegram.api.post("/workflows", definition)

    await telegram.push(message(1, ADA, "/run slow name=Ada"))
    alone = await telegram.api.run("slow", {"name": "Ada"})

    async def is_told() -> bool:
        return "Half way, Ada." in telegram.bot.sent(ADA)

    assert await until(is_told, within_s=15)
    assert alone["output"] == {"id": None}, "a run over HTTP has no chat"


def _slow(seconds: float) -> JsonObject:
    nodes = [
        {"id": "start", "type": "workflow_start"},
        {"id": "nap", "type": "wait", "seconds": seconds},
        {"id": "doze", "type": "wait", "seconds": seconds},
        {"id": "end", "type": "workflow_end", "output": {}},
    ]
    pairs = [("start", "nap"), ("nap", "doze"), ("doze", "end")]
    edges = [{"from": source, "to": target} for source, target in pairs]
    return {"name": "slow", "nodes": nodes, "edges": edges}


async def test_a_long_run_has_one_message_that_is_edited(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "_AFTER_S", 0.0)
    await telegram.api.post("/workflows", _slow(4))

    await telegram.push(message(1, ADA, "/run slow"))

    async def has_ended() -> bool:
        edits = telegram.bot.of("editMessageText")
        return bool(edits) and "completed" in edits[-1].given["text"]

    assert await until(has_ended, within_s=30)
    shown = telegram.bot.sent(ADA)[1:]
    assert shown == ["slow: waits (wait) at nap, 1 step done"]
    edits = [one.given for one in telegram.bot.of("editMessageText")]
    assert edits[0]["text"] == "slow: waits (wait) at doze, 2 steps done"
    assert len({one["message_id"] for one in edits}) == 1


async def test_a_status_whose_sending_got_lost_is_not_sent_again(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "_AFTER_S", 1.0)
    await telegram.api.post("/workflows", _slow(3))
    await telegram.push(message(1, ADA, "/run slow"))
    await telegram.arrived(ADA, 1)
    telegram.bot.fail("sendMessage", Fault(loses_reply=True))

    await telegram.arrived(ADA, 2)

    async def has_ended() -> bool:
        run = (await telegram.api.get("/runs"))["items"][0]
        return bool(run["status"] == "completed")

    assert await until(has_ended, within_s=20)
    await telegram.push(message(2, ADA, "/help"))
    await telegram.arrived(ADA, 3)
    assert len(telegram.bot.sent(ADA)) == 3
    assert telegram.bot.of("editMessageText") == []


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", "gehe\u00efm"])
async def test_a_wrong_secret_is_refused_before_anything(
    telegram: Telegram, secret: str
) -> None:
    url = f"{telegram.served.service.url}/telegram/webhook"
    before = await telegram.served.counts()

    assert await telegram.bot.push(f"{url}?secret={SECRET}", {}, secret) == 401
    assert await telegram.served.counts() == before


async def test_without_a_bot_the_webhook_is_not_configured(served: Served) -> None:
    async with bot_api_server() as bot:
        url = f"{served.service.url}/telegram/webhook"
        assert await bot.push(url, message(1, ADA, "Hi")) == 503


@pytest.mark.parametrize("id_", [None, "7", -1, 2**60, True, 1.5])
async def test_an_update_without_a_good_id_is_taken_and_ignored(
    telegram: Telegram, id_: Any
) -> None:
    before = await telegram.served.counts()

    assert await telegram.push({"update_id": id_, "message": {}}) == [200]
    assert await telegram.served.counts() == before


ODD = {
    "half a pair": ("Hi", "Hi \\ud83d"),
    "no number": ('"update_id"', '"x": NaN, "update_id"'),
    "too large": ('"update_id"', '"x": 1e999, "y": ' + "9" * 4_000 + ', "update_id"'),
    "deep": ('"update_id"', '"x": ' + "[" * 500 + "]" * 500 + ', "update_id"'),
}


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_update_is_heard_all_the_same(
    telegram: Telegram, odd: str
) -> None:
    raw = json.dumps(message(1, ADA, "Hi")).replace(*ODD[odd])
    url = f"{telegram.served.service.url}/telegram/webhook"
    headers = {
        "X-Telegram-Bot-Api-Secret-Token": SECRET,
        "Content-Type": "application/json",
    }

    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await session.post(url, data=raw.encode())

    assert answer.status == 200
    await telegram.arrived(ADA, 1)


async def test_a_failure_that_was_not_laid_out_is_told_all_the_same(
    given: Given,
    bot: BotApiServer,
    provider: ResponsesServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver, failed = Desk.deliver, list[str]()

    async def fails_once(desk: Desk, text: str, *given_: Any) -> None:
        if not failed:
            failed.append(text)
            raise StoreUnavailable

        await deliver(desk, text, *given_)

    monkeypatch.setattr(Desk, "deliver", fails_once)
    provider.will(Reply([b'{"error": {"code": "insufficient_quota"}}'], 429))
    settings = given(
        telegram=_bot(bot),
        llm=provider.settings,
        runs={"lease_s": 1.0, "sweep_s": 0.2},
    )
    async with serving(settings) as served:
        telegram = Telegram(served, bot, provider)
        await telegram.push(message(1, ADA, "Hi"))

        told = await telegram.arrived(ADA, 1)

    assert told == failed == ["The quota at the model's provider is used up."]
    assert len(provider.asked) == 1


async def test_a_bug_of_ours_with_one_update_stops_no_other(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidy = texts.tidy

    def broken(text: str) -> str:
        if text == "bad":
            raise KeyError(text)

        return tidy(text)

    monkeypatch.setattr(hearing, "tidy", broken)

    await telegram.push(message(1, ADA, "bad"), message(2, ADA, "/help"))

    assert (await telegram.arrived(ADA, 1))[0].startswith("/help")


async def test_an_edited_message_is_heard_if_that_is_set(
    given: Given, bot: BotApiServer, provider: ResponsesServer
) -> None:
    edited = {"update_id": 1, "edited_message": message(1, ADA, "/help")["message"]}
    settings = given(telegram={**_bot(bot), "hear_edits": True}, llm=provider.settings)
    async with serving(settings) as served:
        telegram = Telegram(served, bot, provider)
        await telegram.push(edited)

        await telegram.arrived(ADA, 1)


async def test_a_stranger_is_told_so_once_and_no_model_is_asked(
    telegram: Telegram,
) -> None:
    before = len((await telegram.api.get("/decisions"))["items"])

    await telegram.push(message(1, EVE, "Hi"), message(2, EVE, "Hi again"))

    told = await telegram.arrived(EVE, 1)
    assert len(told) == 1
    assert told[0].startswith("This chat is not linked to anybody here.")
    assert telegram.provider.asked == []
    assert len((await telegram.api.get("/decisions"))["items"]) == before


async def test_a_code_links_one_account_until_its_key_is_revoked(
    telegram: Telegram,
) -> None:
    telegram.provider.will(says("Hello."))
    body = {"subject": "eve", "roles": ["operator"], "door": "telegram"}
    made = await telegram.api.post("/keys", body)
    bearer = telegram.api.as_holder_of(made["key"])
    start = f"/start {made['key']}"

    await telegram.push(message(1, EVE, start))
    await telegram.arrived(EVE, 1)
    await telegram.push(message(2, EVE, "Hi"))
    mine = await telegram.arrived(EVE, 2)
    await telegram.push(message(3, 667, start))
    other = await telegram.arrived(667, 1)
    await telegram.api.call("DELETE", f"/keys/{made['id']}")
    await telegram.push(message(4, EVE, "Still there?"))
    last = await telegram.arrived(EVE, 3)

    assert (await bearer.call("GET", "/runs")).status == 401, "it is no bearer key"
    assert mine[0].startswith("Welcome")
    assert mine[1] == "Hello."
    assert other == ["This code cannot be used. Ask for a new one."]
    assert last[2].startswith("This chat is not linked")


async def test_nothing_is_done_for_an_account_whose_code_was_revoked(
    telegram: Telegram,
) -> None:
    body = {"subject": "eve", "roles": ["operator"], "door": "telegram"}
    made = await telegram.api.post("/keys", body)
    grace = await telegram.served.key("grace", "approver", "viewer")
    telegram.provider.will(greeting("Bob"))
    await telegram.push(message(1, EVE, f"/start {made['key']}"))
    await telegram.arrived(EVE, 1)
    await telegram.push(message(2, EVE, "Greet Bob"))
    await telegram.arrived(EVE, 2)
    [waits] = (await telegram.api.get("/approvals?state=waiting"))["items"]

    await telegram.api.call("DELETE", f"/keys/{made['id']}")
    await grace.call("POST", f"/approvals/{waits['id']}/grant", {})

    async def is_over() -> bool:
        path = f"/decisions/{waits['decision_id']}"
        return bool((await telegram.api.get(path))["outcome"])

    assert await until(is_over)
    outcome = (await telegram.api.get(f"/decisions/{waits['decision_id']}"))["outcome"]
    assert (outcome["state"], outcome["error"]["code"]) == ("failed", "forbidden")
    assert (await telegram.api.get("/runs"))["items"] == []
    assert len(telegram.provider.asked) == 1


async def test_an_approver_presses_a_button_and_the_conversation_goes_on(
    telegram: Telegram,
) -> None:
    telegram.provider.will(greeting("Bob"), says("It is done."))

    await telegram.push(message(1, ADA, "Greet Bob"))
    first = await telegram.arrived(ADA, 1)
    asked = (await telegram.arrived(BOB, 1))[0]
    call = next(
        one
        for one in telegram.bot.of("sendMessage")
        if one.given.get("reply_markup") and one.given["chat_id"] == BOB
    )
    buttons = call.given["reply_markup"]["inline_keyboard"][0]
    grant = {one["text"]: one["callback_data"] for one in buttons}["Approve"]
    await telegram.push(press(2, BOB, grant, 2), press(3, BOB, grant, 2))
    replies = await telegram.arrived(ADA, 2)

    assert "Waiting for role:approver: workflow.run greet" in first[0]
    assert "workflow.run waits for you (rule ask-for-bob)" in asked
    assert '"name": "Bob"' in asked
    assert replies[1] == "It is done."
    assert "Approved by Bob." in await telegram.arrived(BOB, 2)
    runs = (await telegram.api.get("/runs"))["items"]
    assert [one["status"] for one in runs] == ["completed"]
    answers = [one.given["text"] for one in telegram.bot.of("answerCallbackQuery")]
    assert answers == ["Approved by Bob.", "This button is not valid any more."]


async def test_only_whoever_was_asked_can_press(telegram: Telegram) -> None:
    telegram.provider.will(greeting("Bob"), says("It is done."))
    await telegram.push(message(1, ADA, "Greet Bob"))
    await telegram.arrived(BOB, 1)
    call = next(
        one for one in telegram.bot.of("sendMessage") if one.given.get("reply_markup")
    )
    grant = call.given["reply_markup"]["inline_keyboard"][0][0]["callback_data"]

    await telegram.push(press(2, ADA, grant, 2), press(3, EVE, grant, 2))

    async def are_answered() -> bool:
        return len(telegram.bot.of("answerCallbackQuery")) == 2

    assert await until(are_answered)
    approvals = (await telegram.api.get("/approvals"))["items"]
    assert [one["state"] for one in approvals] == ["waiting"]


@pytest.mark.timeout(90)
async def test_updates_sent_three_times_in_any_order_count_once(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "_CHAT_GAP_S", 0)
    dice = random.Random(7)
    updates = [message(n, ADA, f"/status {n}") for n in range(60)]
    thrice = [*updates, *updates, *updates]
    dice.shuffle(thrice)

    async with anyio.create_task_group() as senders:
        for n in range(6):
            senders.start_soon(telegram.push, *thrice[n::6])

    replies = await telegram.arrived(ADA, 60, within_s=60)
    assert len(replies) == 60
    decisions: list[JsonObject] = [
        one async for one in telegram.api.pages("/decisions?limit=200")
    ]
    turns = [one for one in decisions if one["action"] == "conversation.turn"]
    assert len(turns) == 60


async def test_updates_are_fetched_where_no_webhook_reaches(
    given: Given, bot: BotApiServer, provider: ResponsesServer
) -> None:
    provider.will(says("Hello."))
    bot.put(message(5, ADA, "Hi"), {"update_id": 6, "poll_answer": {}})
    settings = given(telegram=_bot(bot, "polling"), llm=provider.settings)
    async with serving(settings) as served:
        telegram = Telegram(served, bot, provider)
        assert await telegram.arrived(ADA, 1) == ["Hello."]
        bot.put(message(7, ADA, "Hi again"))
        assert await telegram.arrived(ADA, 2) == ["Hello.", "Hello."]

    assert bot.of("deleteWebhook")
    assert {one.given.get("offset") for one in bot.of("getUpdates")} >= {None, 7, 8}


async def test_a_chat_that_is_flooded_waits_and_others_go_on(
    telegram: Telegram,
) -> None:
    telegram.provider.will(says("Yes."))
    flood = Fault(429, "Too Many Requests: retry after 2", {"retry_after": 2})
    telegram.bot.fail("sendMessage", flood, chat_id=ADA)

    await telegram.push(message(1, ADA, "Hi"), message(2, BOB, "Hi"))
    await telegram.arrived(BOB, 1)
    await telegram.arrived(ADA, 1)

    times = [
        one.at for one in telegram.bot.of("sendMessage") if one.given["chat_id"] == ADA
    ]
    others = [
        one.at for one in telegram.bot.of("sendMessage") if one.given["chat_id"] == BOB
    ]
    assert len(times) == 2
    assert times[1] - times[0] >= 2
    assert others[0] < times[1]


@pytest.mark.parametrize(
    ("fault", "texts", "state"),
    [
        (Fault(loses_reply=True), ["Yes."], "possibly_sent"),
        (Fault(400, "Bad Request: can't parse entities"), ["Yes."], "sent"),
        (Fault(500), ["Yes."], "sent"),
        (Fault(502, html=True), [], "possibly_sent"),
        (Fault(403, "Forbidden: bot was blocked by the user"), [], "refused"),
        (Fault(400, "Bad Request: message is too long"), [], "refused"),
    ],
)
async def test_a_send_that_fails_ends_as_it_must(
    telegram: Telegram, fault: Fault, texts: list[str], state: str
) -> None:
    telegram.provider.will(says("**Yes.**"))
    telegram.bot.fail("sendMessage", fault, chat_id=ADA)

    await telegram.push(message(1, ADA, "Hi"))

    store = telegram.served.service.store

    async def has_ended() -> bool:
        found = await store.door_records.named(
            "default", "telegram", "delivery", limit=5
        )
        return [one.body.get("state") for one in found] == [state]

    assert await until(has_ended, within_s=15)
    assert telegram.bot.sent(ADA) == texts


async def test_a_group_that_moved_is_answered_where_it_is(telegram: Telegram) -> None:
    telegram.provider.will(says("Yes."))
    told = "Bad Request: group chat was upgraded to a supergroup chat"
    moved = Fault(400, told, {"migrate_to_chat_id": -1001})
    telegram.bot.fail("sendMessage", moved, chat_id=-5)
    sender = {"id": ADA}

    await telegram.push(message(1, -5, "Hi", sender=sender))
    await telegram.arrived(-1001, 1)
    await telegram.push(message(2, -1001, "Hi again", sender=sender))
    await telegram.arrived(-1001, 2)

    conversations = (await telegram.api.get("/conversations"))["items"]
    assert len(conversations) == 1


async def test_a_group_that_moves_before_its_first_word_is_answered(
    telegram: Telegram,
) -> None:
    telegram.provider.will(says("Yes."), says("Again."))
    sender = {"id": ADA}
    moved = message(1, -5, "", migrate_to_chat_id=-1001, sender=sender)

    await telegram.push(moved, message(2, -1001, "Hi", sender=sender))
    await telegram.arrived(-1001, 1)
    await telegram.push(message(3, -1001, "Hi again", sender=sender))

    assert await telegram.arrived(-1001, 2) == ["Yes.", "Again."]
    assert len((await telegram.api.get("/conversations"))["items"]) == 1


async def test_a_text_waits_as_long_as_telegram_is_away(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.telegram.pacing._FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr("gateways.telegram.pacing._LONGEST_BACKOFF_S", 0.01)
    telegram.provider.will(says("Yes."))
    away = Fault(401, "Unauthorized")
    telegram.bot.fail("sendMessage", *[away] * 25, chat_id=ADA)

    await telegram.push(message(1, ADA, "Hi"))

    assert await telegram.arrived(ADA, 1) == ["Yes."]


async def test_a_failing_telegram_is_tried_ten_times(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.telegram.pacing._FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr("gateways.telegram.pacing._LONGEST_BACKOFF_S", 0.01)
    telegram.provider.will(says("Never."), says("Yes."))
    telegram.bot.fail("sendMessage", *[Fault(500)] * 10, chat_id=ADA)

    await telegram.push(message(1, ADA, "Hi"))
    await telegram.push(message(2, ADA, "Hi again"))

    assert await telegram.arrived(ADA, 1) == ["Yes."]
    assert len(telegram.bot.of("sendMessage")) == 11


async def test_one_chat_with_many_waiting_texts_holds_up_no_other(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "_AT_ONCE", 2)
    flood = Fault(429, "Too Many Requests", {"retry_after": 600})
    telegram.bot.fail("sendMessage", flood, chat_id=EVE)
    store = telegram.served.service.store.door_records
    chat, at = (
        Channel(kind="telegram", address=str(EVE)),
        stamp(telegram.served.clock.now()),
    )
    for n in range(20):
        text = delivery(f"{n}", id_=f"n:{n}", tenant="default", channel=chat, at=at)
        await store.add(text)

    telegram.provider.will(says("Yes."))
    await telegram.push(message(1, ADA, "Hi"))

    assert await telegram.arrived(ADA, 1) == ["Yes."]
    assert telegram.bot.sent(EVE) == []


async def test_a_store_that_fails_once_leaves_no_update_behind(
    telegram: Telegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True])
    change = records.Records.change

    async def fails(self: records.Records, record: Any, **more: Any) -> Any:
        if "ending" in more and next(failures, False):
            raise StoreUnavailable

        return await change(self, record, **more)

    monkeypatch.setattr(records.Records, "change", fails)
    words = [f"Word {n}" for n in range(6)]
    telegram.provider.will(*[says(f"To {word}") for word in words])

    await telegram.push(*[message(n, ADA, word) for n, word in enumerate(words)])
    await telegram.arrived(ADA, len(words), within_s=25)

    row = (await telegram.api.get("/conversations"))["items"][0]
    found = (await telegram.api.get(f"/conversations/{row['id']}/messages"))["items"]
    assert [one["text"] for one in found if one["role"] == "user"] == words


async def test_an_approver_who_comes_back_is_asked_again(telegram: Telegram) -> None:
    blocked = Fault(403, "Forbidden: bot was blocked by the user")
    telegram.bot.fail("sendMessage", blocked, chat_id=BOB)
    telegram.provider.will(greeting("Bob"), says("Bob decides."), says("Hello."))
    await telegram.push(message(1, ADA, "Greet Bob"))

    async def was_tried() -> bool:
        return any(
            one.given["chat_id"] == BOB for one in telegram.bot.of("sendMessage")
        )

    assert await until(was_tried, within_s=15)
    assert telegram.bot.sent(BOB) == []
    await telegram.push(message(2, BOB, "I am back"))

    assert any("waits for you" in one for one in await telegram.arrived(BOB, 2))


async def test_an_album_gets_one_hint(telegram: Telegram) -> None:
    photo = [{"file_id": "p", "file_size": 10}]
    pictures = [
        message(n, ADA, "", photo=photo, media_group_id="g1") for n in range(1, 4)
    ]
    telegram.provider.will(says("Yes."))

    await telegram.push(*pictures, message(4, ADA, "Hi"))

    hint, answer = await telegram.arrived(ADA, 2)
    assert "Only text" in hint
    assert answer == "Yes."


async def test_a_secret_of_any_bytes_is_refused(telegram: Telegram) -> None:
    url = f"{telegram.served.service.url}/telegram/webhook"
    headers = {"X-Telegram-Bot-Api-Secret-Token": "\udcff"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={}, headers=headers) as response,
    ):
        assert response.status == 401


async def test_a_blocked_chat_hears_nothing_until_it_writes_again(
    telegram: Telegram,
) -> None:
    telegram.provider.will(says("Yes."))
    await telegram.push(message(1, ADA, "Hi"))
    await telegram.arrived(ADA, 1)
    change = {"chat": {"id": ADA}, "new_chat_member": {"status": "kicked"}}

    await telegram.push({"update_id": 2, "my_chat_member": change})
    await telegram.push(message(3, ADA, "I am back"))

    assert await telegram.arrived(ADA, 2) == ["Yes.", "Yes."]


async def test_long_replies_arrive_in_parts(telegram: Telegram) -> None:
    text = " ".join(f"word{n}" for n in range(1_500))
    telegram.provider.will(says(text))

    await telegram.push(message(1, ADA, "Write a lot"))

    parts = await telegram.arrived(ADA, 4)
    assert all(len(one) <= 4_096 for one in parts)
    assert "".join(parts) == text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"text": "\u200b"}, "Only text is read here."),
        ({"text": "", "voice": {"file_id": "f", "file_size": 9}}, "Only text"),
        ({"text": "", "document": {"file_id": "f", "file_size": 5 * 10**7}}, "larger"),
        ({"text": "/start ../../x"}, "Send /start with the code"),
        ({"text": f"/start {'x' * 1024}"}, "Send /start with the code"),
    ],
)
async def test_what_cannot_be_read_gets_one_hint(
    telegram: Telegram, more: JsonObject, told: str
) -> None:
    await telegram.push(message(1, ADA, **{"text": "", **more}))

    assert told in (await telegram.arrived(ADA, 1))[0]
    assert telegram.provider.asked == []

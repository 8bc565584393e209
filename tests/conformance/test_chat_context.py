"""What every short-term context promises, whichever adapter keeps it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import anyio
import pytest
from pydantic import ValidationError

from contracts import MOST_TEXT_CHARS, SHORT_MEMORY, ChatMemory
from store import ChatContext, open_context
from tests.support.chats import CHAT, memory, message, numbers, redis_context
from tests.support.stored import TENANT

SERVERS = {"valkey": "redis_server", "redis 6.2": "redis62_server"}


@pytest.fixture(params=["memory", *SERVERS])
def opening(
    request: pytest.FixtureRequest,
) -> AbstractAsyncContextManager[ChatContext]:
    """An adapter to be opened; a server starts with the first test that needs it."""
    if request.param == "memory":
        return open_context("memory://")

    return redis_context(request.getfixturevalue(SERVERS[request.param]))


@pytest.fixture
async def context(
    opening: AbstractAsyncContextManager[ChatContext],
) -> AsyncIterator[ChatContext]:
    """An empty context."""
    async with opening as context:
        yield context


async def test_a_conversation_nobody_kept_is_missing(context: ChatContext) -> None:
    assert await context.recall(TENANT, CHAT) is None


async def test_messages_are_recalled_in_the_order_of_the_history(
    context: ChatContext,
) -> None:
    said = memory(1, 9)
    mixed = random.Random("order").sample(said.messages, 9)

    for each in mixed:
        await context.append(TENANT, CHAT, ChatMemory(messages=(each,)))

    assert await context.recall(TENANT, CHAT) == said


async def test_only_the_last_messages_are_kept(context: ChatContext) -> None:
    await context.replace(TENANT, CHAT, memory(1, 30, "so far"))
    await context.append(TENANT, CHAT, memory(31, 32))

    recalled = await context.recall(TENANT, CHAT)

    assert recalled == memory(13, 32, "so far")
    assert len(recalled.messages) == SHORT_MEMORY


async def test_a_message_that_is_too_old_comes_back_to_nobody(
    context: ChatContext,
) -> None:
    await context.replace(TENANT, CHAT, memory(11, 30, ""))
    await context.append(TENANT, CHAT, memory(10, 10))

    assert await context.recall(TENANT, CHAT) == memory(11, 30, "")


async def test_appending_the_same_again_changes_nothing(context: ChatContext) -> None:
    await context.append(TENANT, CHAT, memory(1, 2, "short"))
    await context.append(TENANT, CHAT, memory(1, 2, "short"))
    await context.append(TENANT, CHAT, memory(2, 4))

    assert await context.recall(TENANT, CHAT) == memory(1, 4, "short")


async def test_tenants_and_conversations_are_apart(context: ChatContext) -> None:
    places = [("a", "b:chat:c"), ("a:chat:b", "c"), ("a", "c"), ("A", "c"), ("", "")]
    for n, (tenant, chat) in enumerate(places, 1):
        said = (message(1, f"said at place {n}"),)
        await context.replace(tenant, chat, ChatMemory(messages=said, summary=str(n)))

    await context.forget(*places[0])

    recalled = [await context.recall(*place) for place in places]
    assert [each and each.summary for each in recalled] == [None, "2", "3", "4", "5"]


async def test_a_summary_changes_apart_from_the_messages(context: ChatContext) -> None:
    await context.append(TENANT, CHAT, memory(1, 2))
    assert await context.recall(TENANT, CHAT) == memory(1, 2)

    await context.append(TENANT, CHAT, ChatMemory(summary="both greeted"))
    assert await context.recall(TENANT, CHAT) == memory(1, 2, "both greeted")

    await context.append(TENANT, CHAT, memory(3, 3))
    assert await context.recall(TENANT, CHAT) == memory(1, 3, "both greeted")


async def test_a_summary_without_messages_is_no_context(context: ChatContext) -> None:
    await context.append(TENANT, CHAT, ChatMemory(summary="of what?"))

    assert await context.recall(TENANT, CHAT) is None


async def test_a_rebuilt_context_holds_nothing_of_the_old_one(
    context: ChatContext,
) -> None:
    await context.replace(TENANT, CHAT, memory(1, 9, "old"))
    await context.replace(TENANT, CHAT, memory(1, 3))
    assert await context.recall(TENANT, CHAT) == memory(1, 3, "")

    await context.replace(TENANT, CHAT, ChatMemory())
    assert await context.recall(TENANT, CHAT) is None


async def test_a_reader_sees_the_old_context_or_the_new_one(
    context: ChatContext,
) -> None:
    versions = [memory(1, 20, "old"), memory(31, 50, "new")]
    seen: list[ChatMemory | None] = []
    await context.replace(TENANT, CHAT, versions[0])

    async def rebuild() -> None:
        for n in range(40):
            await context.replace(TENANT, CHAT, versions[n % 2])

    async def read() -> None:
        seen.extend([await context.recall(TENANT, CHAT) for _ in range(40)])

    async with anyio.create_task_group() as tasks:
        for each in (rebuild, read, rebuild, read):
            tasks.start_soon(each)

    assert [each for each in seen if each not in versions] == []


async def test_those_who_append_at_once_lose_nothing(context: ChatContext) -> None:
    await context.replace(TENANT, CHAT, memory(1, 5, "begun"))
    async with anyio.create_task_group() as tasks:
        for n in random.Random("at once").sample(range(6, 41), 35):
            tasks.start_soon(context.append, TENANT, CHAT, memory(n, n))

    assert await context.recall(TENANT, CHAT) == memory(21, 40, "begun")


@pytest.mark.parametrize(
    "rest",
    [[2], [1, 3], [5, 6, 7], [*range(1, 5), *range(6, 20)], [*range(2, 12), 13]],
    ids=str,
)
async def test_a_rest_of_a_conversation_is_missing_as_a_whole(
    context: ChatContext, rest: list[int]
) -> None:
    messages = tuple(message(n) for n in rest)
    await context.append(TENANT, CHAT, ChatMemory(messages=messages, summary="rest"))

    assert await context.recall(TENANT, CHAT) is None


async def test_a_full_context_without_a_summary_is_not_whole(
    context: ChatContext,
) -> None:
    await context.append(TENANT, CHAT, memory(2, 21))
    assert await context.recall(TENANT, CHAT) is None

    await context.append(TENANT, CHAT, ChatMemory(summary=""))
    assert await context.recall(TENANT, CHAT) == memory(2, 21, "")


async def test_two_messages_in_one_place_are_no_context(context: ChatContext) -> None:
    await context.append(TENANT, CHAT, memory(1, 3))
    other = ChatMemory(messages=(message(3, "said by another writer"),))
    await context.append(TENANT, CHAT, other)
    assert await context.recall(TENANT, CHAT) is None

    await context.replace(TENANT, CHAT, memory(1, 3))
    assert numbers(await context.recall(TENANT, CHAT)) == [1, 2, 3]


async def test_a_forgotten_conversation_is_missing(context: ChatContext) -> None:
    await context.replace(TENANT, CHAT, memory(1, 3, "secret"))
    for _ in range(2):
        await context.forget(TENANT, CHAT)

    await context.append(TENANT, CHAT, memory(1, 1))

    assert await context.recall(TENANT, CHAT) == memory(1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "a\x00b\r\n",
        "\U0001f469\u200d\U0001f467 \U0010ffff",
        "e\u0301 \u2260 \u00e9",
        "\"\\'",
        "\u202e\ufeff\uffff",
        " ",
    ],
    ids=ascii,
)
async def test_odd_text_comes_back_as_it_was(context: ChatContext, text: str) -> None:
    odd = ChatMemory(messages=(message(1, text),), summary=text)

    await context.replace(text, text, odd)

    assert await context.recall(text, text) == odd


async def test_a_text_of_the_greatest_length_is_kept(context: ChatContext) -> None:
    text = "\N{GRINNING FACE}" * MOST_TEXT_CHARS
    long = ChatMemory(messages=(message(1, text),), summary=text)

    await context.replace(TENANT, CHAT, long)

    assert await context.recall(TENANT, CHAT) == long


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * (MOST_TEXT_CHARS + 1), f"at most {MOST_TEXT_CHARS} characters"),
        ("half \ud83d", "unicode"),
    ],
    ids=["oversize", "surrogate"],
)
def test_text_that_cannot_be_kept_is_no_message_and_no_summary(
    text: str, problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        message(1, text)

    with pytest.raises(ValidationError, match=problem):
        ChatMemory(summary=text)

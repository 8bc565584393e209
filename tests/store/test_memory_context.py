"""The context inside one process: bounded by conversations and by characters."""

from __future__ import annotations

from contracts import ChatMemory
from store.memory_context import MemoryContext
from tests.support.chats import CHAT, memory, message
from tests.support.stored import TENANT


async def kept(context: MemoryContext, count: int) -> list[int]:
    """Which of so many conversations are still there; looking counts as use."""
    found = [await context.recall(TENANT, str(n)) for n in range(count)]
    return [n for n, each in enumerate(found) if each is not None]


async def test_the_conversation_unused_for_longest_makes_room() -> None:
    context = MemoryContext(most_chats=3)
    for n in range(3):
        await context.append(TENANT, str(n), memory(1, 1))

    await context.recall(TENANT, "0")
    await context.append(TENANT, "1", memory(2, 2))
    await context.append(TENANT, "3", memory(1, 1))

    assert await kept(context, 4) == [0, 1, 3]


async def test_long_texts_make_room_for_one_another() -> None:
    context = MemoryContext(most_chars=100)
    for n in range(5):
        said = ChatMemory(messages=(message(1, "x" * 20),), summary="y" * 20)
        await context.replace(TENANT, str(n), said)

    assert await kept(context, 5) == [3, 4]


async def test_what_was_forgotten_or_replaced_takes_no_room() -> None:
    context = MemoryContext(most_chars=100)
    long = ChatMemory(messages=(message(1, "x" * 60),))
    for _ in range(5):
        await context.replace(TENANT, CHAT, long)
        await context.append(TENANT, CHAT, long)
        await context.forget(TENANT, CHAT)
        await context.append(TENANT, CHAT, long)

    await context.replace(TENANT, "0", ChatMemory(messages=(message(1, "x" * 40),)))

    assert await kept(context, 1) == [0]
    assert await context.recall(TENANT, CHAT) is not None

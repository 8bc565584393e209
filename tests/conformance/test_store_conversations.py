"""What every store promises about conversations, their logs and their histories."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from contracts import (
    ConversationRow,
    ConversationState,
    InboxFull,
    NotFound,
    Recollection,
    SequenceConflict,
    TurnEventType,
    new_id,
)
from store import Store, TurnAppend
from tests.support.stored import TENANT, at, item
from tests.support.talks import chat, conversation, turn_append

RECOLLECTION = Recollection(
    summary="Ada likes \u00e9clairs 👩‍🍳",
    summarised=2,
    cached_state={"b": 1, "a": [None]},
)
STATE = ConversationState(seq=2, turns=1, messages=2, waiting={"dec_1": "trn_1"})


async def made(store: Store, **more: str) -> ConversationRow:
    row, ours = await store.conversations.create(conversation(**more))
    assert ours
    return row


async def now(store: Store, row: ConversationRow) -> ConversationRow:
    found = await store.conversations.get(row.tenant, row.id)
    assert found is not None
    return found


async def texts(store: Store, row: ConversationRow) -> list[str]:
    found = await store.conversations.messages(TENANT, row.id, limit=100)
    assert [one.n for one in found] == [*range(1, len(found) + 1)]
    return [one.text for one in found]


async def test_a_conversation_is_made_once(store: Store) -> None:
    row = await made(store, flow="orders")

    again = row.model_copy(update={"subject": "sub_eve"})
    assert await store.conversations.create(again) == (row, False)
    assert await now(store, row) == row
    assert await store.conversations.get("other", row.id) is None


async def test_an_address_has_one_conversation(store: Store) -> None:
    row = await made(store, address="bot:7")

    assert await store.conversations.create(conversation("bot:7")) == (row, False)
    assert await store.conversations.at(TENANT, "telegram", "bot:7") == row
    assert await store.conversations.at(TENANT, "http", "bot:7") is None
    assert await store.conversations.at("other", "telegram", "bot:7") is None


async def test_any_number_of_conversations_has_no_address(store: Store) -> None:
    assert (await made(store)).id != (await made(store)).id


async def test_of_twenty_who_make_an_address_at_once_one_does(store: Store) -> None:
    got: list[tuple[ConversationRow, bool]] = []

    async def make() -> None:
        got.append(await store.conversations.create(conversation("bot:7")))

    async with anyio.create_task_group() as making:
        for _ in range(20):
            making.start_soon(make)

    assert len({row.id for row, _ in got}) == 1
    assert sum(ours for _, ours in got) == 1


async def test_conversations_are_listed_newest_first_and_by_subject(
    store: Store,
) -> None:
    rows = [
        await made(store, created_at=at(n), subject="sub_ada" if n % 2 else "sub_eve")
        for n in range(5)
    ]

    first = await store.conversations.page(TENANT, limit=3)
    rest = await store.conversations.page(TENANT, limit=3, after=first.next)
    of_ada = await store.conversations.page(TENANT, subject="sub_ada", limit=9)

    assert [*first.items, *rest.items] == rows[::-1]
    assert rest.next is None
    assert [*of_ada.items] == [rows[3], rows[1]]
    assert (await store.conversations.page("other", limit=3)).items == ()


async def test_a_conversation_is_bound_and_unbound(store: Store) -> None:
    row = await made(store)

    bound = await store.conversations.bind(TENANT, row.id, "orders")
    assert bound is not None
    assert bound.flow == "orders"
    assert await now(store, row) == bound
    assert await store.conversations.bind(TENANT, row.id, None) == row
    assert await store.conversations.bind("other", row.id, "orders") is None


async def test_the_inbox_keeps_the_order_of_arrival_and_each_item_once(
    store: Store,
) -> None:
    row = await made(store)
    items = tuple(item(name, "said", text=name) for name in "cab")
    for each in items:
        assert await store.conversations.put(TENANT, row.id, each)

    assert not await store.conversations.put(TENANT, row.id, item("a", "outcome"))
    assert await store.conversations.drain(TENANT, row.id) == items
    assert not await store.conversations.put(TENANT, new_id("cnv"), items[0])
    assert not await store.conversations.put("other", row.id, item("z", "said"))
    assert (await now(store, row)).spoke_at == items[-1].at


async def test_an_inbox_takes_so_much_and_then_says_that_it_is_full(
    store: Store,
) -> None:
    row, other, put = await made(store), await made(store), store.conversations.put
    for name in "ab":
        assert await put(TENANT, row.id, item(name, "said"), most=2)

    with pytest.raises(InboxFull) as full:
        await put(TENANT, row.id, item("c", "said"), most=2)

    assert full.value.details == {"limit": 2}
    assert not await put(TENANT, row.id, item("a", "said"), most=2)
    assert await put(TENANT, other.id, item("c", "said"), most=2)
    assert await put(TENANT, row.id, item("d", "outcome"))
    handled = turn_append(row, 1, "turn_proposed", handled=("a", "b"))
    await store.conversations.append(TENANT, row.id, handled)
    assert await put(TENANT, row.id, item("c", "said"), most=2)


async def test_what_was_handled_is_gone_and_keeps_its_key(store: Store) -> None:
    row = await made(store)
    for name in "ab":
        await store.conversations.put(TENANT, row.id, item(name, "said"))

    entry = turn_append(row, 1, "turn_proposed", handled=("a",))
    await store.conversations.append(TENANT, row.id, entry)

    left = await store.conversations.drain(TENANT, row.id)
    assert [one.id for one in left] == ["b"]
    assert not await store.conversations.put(TENANT, row.id, item("a", "said"))


async def test_an_append_brings_all_that_travels_with_it(store: Store) -> None:
    row = await made(store)
    entry = turn_append(
        row,
        1,
        "turn_proposed",
        "turn_ended",
        messages=chat(1, "Hello", "Hi"),
        state=STATE,
        recollection=RECOLLECTION,
        wake_at=at(60),
    )

    await store.conversations.append(TENANT, row.id, entry)

    stored = await now(store, row)
    assert (stored.state, stored.recollection) == (STATE, RECOLLECTION)
    assert stored.wake_at == at(60)
    assert await texts(store, row) == ["Hello", "Hi"]
    log = await store.conversations.events(TENANT, row.id, limit=9)
    assert log == entry.events


async def test_without_a_recollection_the_old_one_stays(store: Store) -> None:
    row = await made(store)
    first = turn_append(row, 1, "turn_ended", recollection=RECOLLECTION, state=STATE)
    await store.conversations.append(TENANT, row.id, first)
    await store.conversations.append(
        TENANT, row.id, turn_append(row, 2, "turn_failed", wake_at=None)
    )

    stored = await now(store, row)
    assert stored.recollection == RECOLLECTION
    assert list(stored.recollection.cached_state) == ["b", "a"]
    assert stored.state == STATE


async def test_the_same_append_again_changes_nothing(store: Store) -> None:
    row = await made(store)
    entry = turn_append(
        row, 1, "turn_proposed", "turn_ended", messages=chat(1, "Hello"), state=STATE
    )
    for _ in range(3):
        await store.conversations.append(TENANT, row.id, entry)

    assert await texts(store, row) == ["Hello"]
    assert len(await store.conversations.events(TENANT, row.id, limit=9)) == 2


@pytest.mark.parametrize("first", [1, 3])
async def test_a_position_that_is_taken_or_leaves_a_gap_is_refused(
    store: Store, first: int
) -> None:
    row = await made(store)
    await store.conversations.append(
        TENANT, row.id, turn_append(row, 1, "turn_proposed")
    )

    late = turn_append(row, first, "turn_ended", writer="w2", messages=chat(1, "no"))
    with pytest.raises(SequenceConflict):
        await store.conversations.append(TENANT, row.id, late)

    assert await texts(store, row) == []
    assert len(await store.conversations.events(TENANT, row.id, limit=9)) == 1


async def test_of_two_writers_of_a_position_one_wins_with_all_it_brings(
    store: Store,
) -> None:
    row = await made(store)
    won: list[str] = []

    async def write(writer: str) -> None:
        entry = turn_append(
            row, 1, "turn_proposed", writer=writer, messages=chat(1, writer)
        )
        try:
            await store.conversations.append(TENANT, row.id, entry)
        except SequenceConflict:
            return

        won.append(writer)

    async with anyio.create_task_group() as writing:
        for n in range(10):
            writing.start_soon(write, f"w{n}")

    assert len(won) == 1
    assert await texts(store, row) == won


async def test_messages_go_on_where_the_history_ends(store: Store) -> None:
    row = await made(store)
    first = turn_append(row, 1, "turn_ended", messages=chat(1, "a", "b"))
    await store.conversations.append(TENANT, row.id, first)

    for wrong in (2, 4):
        entry = turn_append(row, 2, "turn_ended", messages=chat(wrong, "c"))
        with pytest.raises(SequenceConflict):
            await store.conversations.append(TENANT, row.id, entry)

    gap = chat(3, "c") + chat(5, "e")
    with pytest.raises(SequenceConflict):
        await store.conversations.append(
            TENANT, row.id, turn_append(row, 2, "turn_ended", messages=gap)
        )

    entry = turn_append(row, 2, "turn_ended", messages=chat(3, "c"))
    await store.conversations.append(TENANT, row.id, entry)
    assert await texts(store, row) == ["a", "b", "c"]


async def test_an_append_without_events_is_for_the_last_writer(store: Store) -> None:
    row = await made(store)
    await store.conversations.put(TENANT, row.id, item("a", "said"))
    await store.conversations.append(
        TENANT, row.id, turn_append(row, 1, "turn_proposed")
    )

    with pytest.raises(SequenceConflict):
        await store.conversations.append(
            TENANT, row.id, TurnAppend((), "w2", handled=("a",))
        )

    await store.conversations.append(
        TENANT, row.id, TurnAppend((), "w1", handled=("a",), wake_at=at(9))
    )
    assert await store.conversations.drain(TENANT, row.id) == ()
    assert (await now(store, row)).wake_at == at(9)


async def test_an_append_to_nothing_is_not_found(store: Store) -> None:
    row = conversation()

    with pytest.raises(NotFound):
        await store.conversations.append(
            TENANT, row.id, turn_append(row, 1, "turn_proposed")
        )


async def test_parts_of_a_log_and_of_a_history_are_read_in_both_directions(
    store: Store,
) -> None:
    row = await made(store)
    n = 0
    for size in (1, 3, 2, 4):
        said = chat(n + 1, *map(str, range(n + 1, n + size + 1)))
        types = cast(list[TurnEventType], ["reply_made"] * size)
        entry = turn_append(row, n + 1, *types, messages=said)
        await store.conversations.append(TENANT, row.id, entry)
        n += size

    for after in range(12):
        for limit in (1, 3, 20):
            up = [*range(after + 1, 11)][:limit]
            down = [*range(after - 1 if after else 10, 0, -1)][:limit]
            down = [one for one in down if one <= 10]
            key: Any = {"after": after, "limit": limit}
            found = await store.conversations.events(TENANT, row.id, **key)
            assert [one.seq for one in found] == up
            back = await store.conversations.events(TENANT, row.id, **key, order="desc")
            assert [one.seq for one in back] == down
            said = await store.conversations.messages(TENANT, row.id, **key)
            assert [one.n for one in said] == up
            unsaid = await store.conversations.messages(
                TENANT, row.id, **key, order="desc"
            )
            assert [one.n for one in unsaid] == down


async def test_a_conversation_has_one_owner_until_its_time_is_over(
    store: Store,
) -> None:
    row = await made(store)
    times = {"now": at(0), "until": at(15)}

    taken = await store.conversations.claim(TENANT, row.id, owner="w1", **times)
    assert taken is not None
    assert taken.lease is not None
    assert taken.lease.owner == "w1"
    assert await store.conversations.claim(TENANT, row.id, owner="w2", **times) is None
    again = await store.conversations.claim(TENANT, row.id, owner="w1", **times)
    assert again == taken
    assert await store.conversations.renew(TENANT, row.id, owner="w1", until=at(30))
    assert not await store.conversations.renew(TENANT, row.id, owner="w2", until=at(99))
    late = {"now": at(31), "until": at(45)}
    assert await store.conversations.claim(TENANT, row.id, owner="w2", **late)
    assert not await store.conversations.renew(TENANT, row.id, owner="w1", until=at(99))
    await store.conversations.release(TENANT, row.id, owner="w1")
    assert (await now(store, row)).lease is not None
    await store.conversations.release(TENANT, row.id, owner="w2")
    assert (await now(store, row)).lease is None
    assert await store.conversations.claim("other", row.id, owner="w2", **late) is None


async def test_what_is_given_back_may_say_when_it_wants_to_be_looked_at(
    store: Store,
) -> None:
    row = await made(store)
    wait = turn_append(row, 1, "turn_awaiting", wake_at=at(1))
    times = {"now": at(0), "until": at(15)}
    await store.conversations.claim(TENANT, row.id, owner="w1", **times)
    await store.conversations.append(TENANT, row.id, wait)

    await store.conversations.release(TENANT, row.id, owner="w1", wake_at=at(20))

    assert await _stale(store, 19) == set()
    assert await _stale(store, 20) == {row.id}
    await store.conversations.claim(
        TENANT, row.id, owner="w1", now=at(20), until=at(30)
    )
    await store.conversations.release(TENANT, row.id, owner="w1")
    assert await _stale(store, 99) == set()


async def test_a_claim_that_a_restart_voids_leaves_what_is_open_due(
    store: Store,
) -> None:
    row = await made(store)
    times = {"now": at(0), "until": at(15)}
    await store.conversations.claim(TENANT, row.id, owner="w1", **times)
    wait = turn_append(row, 1, "turn_proposed", wake_at=at(1))
    await store.conversations.append(TENANT, row.id, wait)

    voided = await store.conversations.abandoned_by_restart()

    assert await _stale(store, 2 if voided else 15) == {row.id}


async def test_an_append_may_end_the_claim(store: Store) -> None:
    row = await made(store)
    times = {"now": at(0), "until": at(15)}
    await store.conversations.claim(TENANT, row.id, owner="w1", **times)

    entry = turn_append(row, 1, "turn_ended", release=True)
    await store.conversations.append(TENANT, row.id, entry)

    assert (await now(store, row)).lease is None


async def test_stale_are_those_that_want_a_worker_and_have_none(store: Store) -> None:
    idle, spoken, due, owned, left = [await made(store) for _ in range(5)]
    await store.conversations.put(TENANT, spoken.id, item("a", "said"))
    wait = turn_append(due, 1, "turn_proposed", wake_at=at(10))
    await store.conversations.append(TENANT, due.id, wait)
    for row, until in ((owned, at(99)), (left, at(5)), (idle, at(5))):
        times = {"now": at(0), "until": until}
        await store.conversations.claim(TENANT, row.id, owner="w1", **times)

    for row in (owned, left):
        await store.conversations.put(TENANT, row.id, item("a", "said"))

    assert await _stale(store, 4) == {spoken.id}
    assert await _stale(store, 6) == {spoken.id, left.id}
    assert await _stale(store, 10) == {spoken.id, left.id, due.id}
    assert await _stale(store, 99) == {spoken.id, left.id, due.id, owned.id}
    assert len(await store.conversations.stale(at(99), limit=2)) == 2


async def test_what_was_heard_is_no_longer_stale(store: Store) -> None:
    row = await made(store)
    await store.conversations.put(TENANT, row.id, item("a", "said"))

    entry = turn_append(row, 1, "turn_ended", handled=("a",))
    await store.conversations.append(TENANT, row.id, entry)

    assert await _stale(store, 99) == set()


async def test_what_there_is_of_conversations_is_counted(store: Store) -> None:
    row = await made(store)
    await store.conversations.put(TENANT, row.id, item("a", "said"))
    entry = turn_append(row, 1, "turn_proposed", "turn_ended", messages=chat(1, "Hi"))
    await store.conversations.append(TENANT, row.id, entry)

    counts = await store.counts()

    names = ("conversations", "conversation_inbox", "turn_events", "chat_history")
    assert [counts[name] for name in names] == [1, 1, 2, 1]


async def _stale(store: Store, seconds: int) -> set[str]:
    found = await store.conversations.stale(at(seconds), limit=99)
    return {row.id for row in found}

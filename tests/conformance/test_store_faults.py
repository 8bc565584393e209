"""What a caller that repeats itself can rely on when calls to the store fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import anyio
import pytest

from contracts import (
    TERMINAL,
    CastVote,
    DecisionRecord,
    KeyRow,
    RunRow,
    SequenceConflict,
    StoreUnavailable,
    digest,
    new_id,
)
from contracts.chains import verify
from contracts.definitions import Head
from store import Append, DecisionFilter, Faults, FaultyStore, Store
from tests.support.stored import (
    AT,
    TENANT,
    append,
    approval,
    at,
    chain_of,
    effect,
    ended,
    item,
    outcome,
    paused,
    record,
    reservation,
    run,
)

T = TypeVar("T")


class Act(NamedTuple):
    """One call of a verb."""

    verb: str
    given: tuple[object, ...]
    named: dict[str, object]

    async def on(self, store: Store) -> object:
        aggregate, _, verb = self.verb.partition(".")
        return await getattr(getattr(store, aggregate), verb)(*self.given, **self.named)


def act(verb: str, *given: object, **named: object) -> Act:
    return Act(verb, given, named)


class Story:
    """A few lives of decisions, to be told to any store in the same words."""

    def __init__(self) -> None:
        self.runs = [run(record(recorded_at=at(n))) for n in range(6)]
        self.key = _key()

    def acts(self) -> list[Act]:
        """Everything that happens, in its order."""
        return [
            *(each for n, row in enumerate(self.runs) for each in _running(row, n)),
            *(each for n in range(3) for each in _voting(n)),
            *(each for n in range(3) for each in _saving(n)),
            act("keys.subject", TENANT, "ada", "sub_1"),
            act("keys.create", self.key),
            act("keys.revoke", TENANT, self.key.id, at(50)),
            act("ledger.add", TENANT, "key", self.key.id, {"by": "ada"}, at(50)),
        ]


def _running(row: RunRow, n: int) -> list[Act]:
    said = record(id=row.decision_id, recorded_at=at(n))
    budget = reservation(row.id, 1, 99, meter="runs")
    lease = {"owner": "w1", "now": at(n), "until": at(n + 15)}
    mine: Any = (TENANT, row.id)
    resumed = append(row, 5, "run_resumed", handled=("answer:4",))
    end = append(row, 6, "workflow_complete", state=ended(6))
    return [
        act("decisions.record", said),
        act("runs.create", row, (budget,)),
        act("runs.claim", *mine, **lease),
        act("runs.append", *mine, append(row, 1, "run_created", "run_claimed")),
        act("runs.renew", *mine, owner="w1", until=at(n + 30)),
        act("runs.append", *mine, append(row, 3, "run_started")),
        act("runs.append", *mine, append(row, 4, "run_paused", state=paused(4))),
        act("runs.release", *mine, owner="w1"),
        act("runs.put", *mine, item("answer:4", "resume")),
        act("runs.claim", *mine, **lease),
        act("runs.append", *mine, resumed),
        act("runs.append", *mine, end),
        act("budgets.settle", TENANT, budget.id, 1),
    ]


def _voting(n: int) -> list[Act]:
    said = record("awaiting", recorded_at=at(20 + n))
    opened = approval(said)
    vote = CastVote(subject="eve", vote="refuse", at=at(40))
    changed = {"votes": (vote,), "state": "refused", "revision": 2}
    after = opened.model_copy(update=changed)
    return [
        act("decisions.record", said, opened),
        act("approvals.change", after, from_revision=1),
    ]


def _saving(n: int) -> list[Act]:
    said = record(action="workflow.save", recorded_at=at(30 + n))
    claimed = effect(said, token="t")
    end = {"state": "succeeded", "outcome": outcome(said), "finished_at": at(45)}
    return [
        act("decisions.record", said),
        act("effects.consume", claimed),
        act("definitions.save", _head(said), expected_version=None),
        act("effects.finish", claimed.model_copy(update=end)),
    ]


def _head(said: DecisionRecord) -> Head:
    name = f"flow-{said.id}"
    return Head(
        id=f"id-{name}",
        tenant=TENANT,
        kind="workflow",
        name=name,
        version=0,
        digest=digest({"name": name}),
        created_at=AT,
        created_by="ada",
        decision_id=said.id,
        body={"name": name},
    )


def _key() -> KeyRow:
    return KeyRow(
        id=new_id("key"),
        tenant=TENANT,
        subject="sub_1",
        subject_name="ada",
        roles=("operator",),
        secret_digest="sha256:0",
        created_at=AT,
    )


async def everything(store: Store, story: Story) -> dict[str, Any]:
    """All that a store remembers of a story."""
    ids = [row.id for row in story.runs]
    return {
        "runs": [await store.runs.get(TENANT, id_) for id_ in ids],
        "logs": [await store.runs.events(TENANT, id_, limit=99) for id_ in ids],
        "drained": [await store.runs.drain(TENANT, id_) for id_ in ids],
        "decisions": await store.decisions.page(TENANT, DecisionFilter(), limit=99),
        "approvals": await store.approvals.page(TENANT, state=None, limit=99),
        "heads": await store.definitions.page(TENANT, "workflow", limit=99),
        "key": await store.keys.get(story.key.id),
        "ledger": await chain_of(store),
        "use": await store.budgets.use(TENANT, "tenant", TENANT, "runs", "2026-11-21"),
        "counts": {**await store.counts(), "meta": 0},
    }


async def persist(call: Callable[[], Awaitable[T]]) -> T:
    """The result of a call that is made until it does not fail."""
    for _ in range(1_000):
        try:
            return await call()
        except StoreUnavailable:
            continue

    raise AssertionError("the store failed a thousand times")


async def test_who_persists_ends_with_what_a_sound_store_would_hold(
    sound: Store, faulty: FaultyStore
) -> None:
    story = Story()
    for each in story.acts():
        await each.on(sound)
        await persist(lambda each=each: each.on(faulty))  # type: ignore[misc]

    faulty.faults.chances.clear()
    told = await everything(faulty, story)

    assert told == await everything(sound, story)
    assert verify(told["ledger"]) == []


async def test_a_call_whose_answer_was_lost_may_be_made_again(store: Store) -> None:
    story, faults = Story(), Faults()
    unsure = FaultyStore(store, faults)
    once: dict[str, int] = {}
    for each in story.acts():
        faults.next(each.verb, "execute_and_timeout")
        with pytest.raises(StoreUnavailable):
            await each.on(unsure)

        once = await store.counts()
        await each.on(unsure)
        assert await store.counts() == once

    assert verify(await chain_of(store)) == []
    assert {verb for verb, _ in faults.happened} == {each.verb for each in story.acts()}


@pytest.mark.parametrize("fault", ["unavailable", "timeout"])
async def test_a_call_that_failed_before_its_execution_changed_nothing(
    store: Store, fault: Any
) -> None:
    faults = Faults()
    unsure = FaultyStore(store, faults)
    for each in Story().acts():
        before = await store.counts()
        faults.next(each.verb, fault)
        with pytest.raises(StoreUnavailable):
            await each.on(unsure)

        assert await store.counts() == before
        await each.on(unsure)


async def test_reads_fail_too_and_a_ping_tells(store: Store) -> None:
    faults = Faults()
    unsure = FaultyStore(store, faults)
    for verb in ("store.ping", "decisions.get", "freezes.of"):
        faults.next(verb, "unavailable")

    with pytest.raises(StoreUnavailable):
        await unsure.ping()

    with pytest.raises(StoreUnavailable):
        await unsure.decisions.get(TENANT, new_id("dec"))

    with pytest.raises(StoreUnavailable):
        await unsure.freezes.of(TENANT)

    await unsure.ping()


class Insistent:
    """One of many writers of a run that repeats an append until it is told how."""

    def __init__(self, store: Store, row: RunRow, name: str) -> None:
        self.stored: list[str] = []
        self.refused: list[str] = []
        self._store = store
        self._row = row
        self._name = name

    async def write(self, times: int) -> None:
        for n in range(times):
            entry = await self._entry(ending=n == times - 1)
            try:
                await persist(
                    lambda entry=entry: self._store.runs.append(  # type: ignore[misc]
                        TENANT, self._row.id, entry
                    )
                )
            except SequenceConflict:
                self.refused += [each.id for each in entry.events]
            else:
                self.stored += [each.id for each in entry.events]

    async def _entry(self, *, ending: bool) -> Append:
        last = await persist(
            lambda: self._store.runs.events(TENANT, self._row.id, limit=1, order="desc")
        )
        first = last[0].seq + 1 if last else 1
        if ending:
            end = ended(first)
            return append(
                self._row, first, "workflow_complete", writer=self._name, state=end
            )

        types: Any = ("node_start", "node_complete")
        return append(self._row, first, *types, writer=self._name)


async def test_racing_writers_recognise_their_own_writes_through_faults(
    faulty: FaultyStore,
) -> None:
    made = run()
    row, _ = await persist(lambda: faulty.runs.create(made))
    writers = [Insistent(faulty, row, f"w{n}") for n in range(16)]
    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.write, 12)

    faulty.faults.chances.clear()
    log = await faulty.runs.events(TENANT, row.id, limit=999)

    assert [each.seq for each in log] == list(range(1, len(log) + 1))
    stored = [id_ for writer in writers for id_ in writer.stored]
    assert sorted(stored) == sorted(each.id for each in log)
    assert [each.type in TERMINAL for each in log].count(True) == 1
    assert log[-1].type in TERMINAL


async def test_faults_of_one_seed_repeat_themselves(
    store: Store, faults: Faults
) -> None:
    again = Faults(7, faults.chances)
    first = Faults(7, faults.chances)
    for each in (first, again):
        for _ in range(50):
            try:
                await FaultyStore(store, each).ping()
            except StoreUnavailable:
                continue

    assert first.happened == again.happened

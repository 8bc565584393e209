"""Hearing: what lies in the inbox is taken in, in order, or left for later."""

from __future__ import annotations

from agents.conversation import opening
from agents.conversation.desk import Desk
from agents.conversation.opening import BINDINGS, Asker, command_of
from agents.conversation.scripted import Script, script_of
from agents.conversation.turns import run_of
from contracts import DecisionRecord, InboxItem, JsonObject, new_id, turn_id_of
from contracts.failpoints import reach

_ANSWERS: tuple[str, ...] = ("verdict", "outcome")
_TURN = "conversation.turn"


_MOST_OPEN = 16
"""So many turns are open at a time, commands and all; what comes more waits."""


class Hearing:
    """Takes in what came from outside.

    An answer to a proposal is kept with what follows from it.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._means = desk.means
        self._row = desk.row
        self._book = desk.book
        self._log = desk.log

    async def hear(self) -> bool:
        """Take in what lies in the inbox; whether something is left for later."""
        conversations, left = self._means.store.conversations, False
        for item in await conversations.drain(self._row.tenant, self._row.id):
            match item.kind:
                case "said":
                    heard = await self._hear_words(item)
                case "run_ended":
                    heard = await self._hear_run(item, item.body["run_id"])
                case _:
                    heard = await self._hear_answer(item)

            left = left or not heard

        return left

    async def _hear_words(self, item: InboxItem) -> bool:
        """A text waits for the end of the turn that thinks; a command does not."""
        is_text = command_of(item) is None
        if len(self._book.turns) >= _MOST_OPEN:
            return False

        if is_text and self._book.thinking is not None:
            return False

        ttl_s, at = self._means.settings.verdict_ttl_s, self._log.at
        script = await self._script(item) if is_text else None
        new = opening.opened_by_words(self._row, item, script, at, ttl_s)
        await self._desk.open(
            item, new, item.body.get("correlation_id") or new_id("msg")
        )
        return True

    async def _script(self, item: InboxItem) -> Script | None:
        """What a bound conversation runs for a text."""
        desk = self._desk
        if desk.flow is None:
            return None

        return script_of(desk.flow, item, await desk.memory(), desk.recollection)

    async def _hear_answer(self, item: InboxItem) -> bool:
        """A verdict or outcome of an open turn, or of one that waited for it."""
        decision_id = str(item.body["decision_id"])
        known = _answer_in(item)
        turn = self._book.turn_of(decision_id)
        if turn is None and decision_id in self._book.waiting:
            return await self._hear_late(item, decision_id, known)

        turn_id = turn.id if turn else turn_id_of(self._row.id, item.id)
        self._log.say(turn_id, "decision_heard", decision_id=decision_id, **known)
        self._log.handle(item.id)
        reach("C4")
        if turn is not None and turn.first.decision.action in BINDINGS:
            await self._desk.look_at_binding()

        return True

    async def _hear_late(
        self, item: InboxItem, decision_id: str, known: JsonObject
    ) -> bool:
        """What a turn had waited for and did not hear: the conversation goes on."""
        record = await self._means.store.decisions.get(self._row.tenant, decision_id)
        if record is not None and record.decision.action == _TURN:
            return await self._reopen(item, record, known)

        verdict = known.get("verdict") or {}
        is_end = "outcome" in known or verdict.get("result") == "refused"
        run_id = run_of(known["outcome"]) if "outcome" in known else ""
        if is_end and not run_id:
            if self._book.thinking is not None:
                return False

            if record is not None:
                return await self._continue(item, record, known, decision_id)

        turn_id = self._book.waiting[decision_id]
        self._log.say(turn_id, "decision_heard", decision_id=decision_id, **known)
        self._log.handle(item.id)
        await self._log.keep()
        return True

    async def _hear_run(self, item: InboxItem, run_id: str) -> bool:
        """The end of a run: of an open turn, or of one that had waited for it."""
        turn = self._book.turn_of_run(run_id)
        late = turn is None and run_id in self._book.waiting
        if late and self._book.thinking is not None:
            return False

        if turn is None and not late and self._book.may_become(run_id):
            return False  # its decision's outcome is still to be heard

        told = await self._desk.told_of(run_id)
        if late:
            run = await self._means.store.runs.get(self._row.tenant, run_id)
            record = run and await self._means.store.decisions.get(
                self._row.tenant, run.decision_id
            )
            if record:
                return await self._continue(item, record, told, run_id)

        turn_id = turn.id if turn else turn_id_of(self._row.id, item.id)
        self._log.say(turn_id, "run_heard", run_id=run_id, told=told)
        self._log.handle(item.id)
        await self._log.keep()
        return True

    async def _reopen(
        self, item: InboxItem, record: DecisionRecord, known: JsonObject
    ) -> bool:
        """People answered whether the person is answered: under that very decision."""
        if self._book.thinking is not None:
            return False

        turn_id = turn_id_of(self._row.id, item.id)
        self._log.say(
            turn_id,
            "turn_proposed",
            kind="continuation",
            item=item.plain(),
            decision=record.decision.plain(),
            correlation_id=record.correlation_id,
            context={"approved": "The person's last message may be answered now."},
            ends=[record.id],
        )
        self._log.say(turn_id, "decision_heard", decision_id=record.id, **known)
        self._log.handle(item.id)
        return True

    async def _continue(
        self, item: InboxItem, record: DecisionRecord, told: JsonObject, ends: str
    ) -> bool:
        of = record.decision
        asker, ttl_s = (
            Asker(of.principal, of.channel),
            self._means.settings.verdict_ttl_s,
        )
        new = opening.continued(self._row, item, asker, self._log.at, ttl_s)
        context = {"proposed": {"action": of.action, "args": of.args}, **told}
        chain = record.correlation_id
        await self._desk.open(item, new, chain, context=context, ends=[ends])
        return True


def _answer_in(item: InboxItem) -> JsonObject:
    """The verdict or the outcome that an item brings."""
    return {name: item.body[name] for name in _ANSWERS if name in item.body}

"""Minding a turn: the model is asked, its answer kept, its calls proposed and heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable

import anyio

from agents.conversation import wording
from agents.conversation.bounds import left_of
from agents.conversation.desk import Desk
from agents.conversation.ending import Ending
from agents.conversation.functions import (
    ASK_USER,
    MOST_CALLS,
    proposal_of,
    question_of,
)
from agents.conversation.opening import PROPOSER
from agents.conversation.prompting import request_of
from agents.conversation.scripted import answer_in
from agents.conversation.thinking import Call, thinking_of
from agents.conversation.turns import Proposed, Turn
from contracts import (
    CODES,
    ENDED,
    Action,
    Approved,
    Awaiting,
    Decision,
    InvalidInput,
    JsonObject,
    ModelAnswer,
    PermanentError,
    derived_id,
    later,
    moment,
)
from contracts.failpoints import reach


class Minding:
    """Goes on with the one turn that thinks."""

    def __init__(self, desk: Desk, ending: Ending, ring: Callable[[], None]) -> None:
        means = desk.means
        self._desk = desk
        self._means = desk.means
        self._row = desk.row
        self._book = desk.book
        self._log = desk.log
        self._ending = ending
        self._ring = ring
        self._call: asyncio.Task[ModelAnswer] | None = None
        self._held_since: dict[str, float] = {}
        """When a turn began to think here, by a clock that only goes forward."""

        self._thinking = thinking_of(means)

    async def go_on(self, turn: Turn, verdict: Approved) -> None:
        """The next thing that a turn with a model does."""
        if self._call is not None:
            if self._call.done():
                await self._take_answer(turn, self._call.result())
                if turn.id in self._book.turns:
                    await self.go_on(turn, verdict)

            return

        late = answer_in(turn.context) if not turn.steps else None
        if late is not None:
            await self._ending.end(turn, late.reply, cached_state=late.cached_state)
            return

        last = turn.steps[-1] if turn.steps else None
        if last is None or turn.asked > len(turn.steps):
            await self._ask(turn, verdict)
        elif not last.answer.calls:
            await self._ending.end(turn, _reply(turn, last.answer.text))
        elif not last.is_proposed:
            await self._propose(turn)
        elif await self._is_settled(turn):
            waits = [one.decision.id for one in last.proposed.values() if awaits(one)]
            words = [last.answer.text, *last.questions.values()]
            if waits or last.questions:
                await self._ending.end(turn, _reply(turn, *words), waits)
            else:
                await self._ask(turn, verdict)

    async def follow(self, turn: Turn) -> None:
        """The next thing that a turn with an agent flow does: its run answers."""
        first = turn.first
        if first.run_id and await self._has_come([first], turn):
            await self._answer(turn, first)
        elif first.is_settled and not first.run_id:
            waits = [first.decision.id] if awaits(first) else []
            await self._ending.end(turn, wording.told(first), waits)

    async def _answer(self, turn: Turn, first: Proposed) -> None:
        """Say what the flow said; a run that failed changes nothing."""
        answer, run = answer_in(first.run), first.run or {}
        if answer is not None:
            await self._ending.end(turn, answer.reply, cached_state=answer.cached_state)
        elif run.get("status") in ENDED:
            error = run.get("error") or {}
            code = str(error.get("code") or "internal")
            message = str(error.get("message") or "")
            known = code if code in CODES else "internal"
            await self._ending.fail(turn, PermanentError(message, code=known))
        else:
            await self._ending.end(turn, wording.goes_on(first.run_id, run))

    async def _ask(self, turn: Turn, verdict: Approved) -> None:
        """Begin the next call of the model, if the turn's limits allow one."""
        now, step = self._means.clock.monotonic(), len(turn.steps) + 1
        left = left_of(turn, verdict, now - self._held_since.setdefault(turn.id, now))
        if left is None:
            return await self._ending.fail(turn, PermanentError(code="turn_limit"))

        if not await self._is_good(turn):
            error = PermanentError(code="invalid_credentials")
            return await self._ending.fail(turn, error)

        settings = self._means.settings
        request = request_of(
            turn,
            await self._desk.memory(),
            await self._means.offers.of(self._row.tenant),
            instructions=settings.instructions,
            max_output_tokens=min(settings.max_output_tokens, left.tokens),
        )
        subject = turn.first.decision.principal.subject
        use_id = f"{turn.id}/{step}"
        try:
            reserved = await self._thinking.afford(self._row, subject, use_id, request)
        except PermanentError as error:
            return await self._ending.fail(turn, error)

        self._log.say(turn.id, "model_request", step=step, reserved=reserved)
        await self._log.keep()
        reach("C2")
        call = Call(turn.id, step, request, min(settings.model_timeout_s, left.seconds))
        self._call = asyncio.create_task(
            self._thinking.ask(self._row, call), name=f"turn {turn.id}"
        )
        self._call.add_done_callback(lambda _: self._ring())
        return None

    async def _is_good(self, turn: Turn) -> bool:
        """Whether a turn that nobody asked for just now is for somebody still here."""
        key_id = turn.first.decision.principal.key_id
        if turn.kind != "continuation" or key_id is None:
            return True

        key = await self._means.store.keys.get(key_id)
        return key is not None and key.is_alive(self._log.at)

    async def _take_answer(self, turn: Turn, answer: ModelAnswer) -> None:
        """Keep what the model said before anything follows from it."""
        self._call = None
        plain, step = answer.plain(), turn.asked
        many = len(answer.calls) > MOST_CALLS
        if answer.ending == "completed" and not many and _is_usable(answer):
            self._log.say(turn.id, "model_response", step=step, answer=plain)
            await self._log.keep()
            reach("C3")
            await self._settle(turn, answer)
            return

        code = "too_many_calls" if many else answer.code or "llm_bad_output"
        self._log.say(turn.id, "model_error", step=step, answer=plain, code=code)
        await self._log.keep()
        await self._settle(turn, answer)
        details = {"retry_after_s": answer.retry_after_s, "model": answer.model}
        message = answer.message if answer.code else ""
        await self._ending.fail(
            turn, PermanentError(message, code=code, details=details)
        )

    async def _propose(self, turn: Turn) -> None:
        """Log the decisions of an answer's calls, then send them."""
        step = turn.steps[-1]
        decisions: dict[str, Decision] = {}
        results: dict[str, str] = {}
        questions: dict[str, str] = {}
        for n, call in enumerate(step.answer.calls):
            try:
                if call.name == ASK_USER:
                    question = question_of(call, alone=len(step.answer.calls) == 1)
                    questions[call.call_id] = question.text
                    continue

                action, args = proposal_of(call)
            except InvalidInput as error:
                told = {
                    "state": "invalid",
                    "code": error.code,
                    "message": error.message,
                }
                results[call.call_id] = json.dumps(told)
                continue

            id_ = derived_id("dec", turn.id, len(turn.steps), n)
            decisions[call.call_id] = self._decision(turn, id_, action, args)

        plain = {call_id: one.plain() for call_id, one in decisions.items()}
        more = {"questions": questions} if questions else {}
        self._log.say(
            turn.id, "decision_proposed", decisions=plain, results=results, **more
        )
        await self._log.keep()
        reach("C5")
        for decision in decisions.values():
            await self._desk.send(decision, turn.correlation_id)

        if not decisions:
            self._ring()  # nothing is to be heard of: the model is told at once

    def _decision(
        self, turn: Turn, id_: str, action: Action, args: JsonObject
    ) -> Decision:
        at, first = self._log.at, turn.first.decision
        return Decision(
            id=id_,
            action=action,
            args=args,
            proposer=PROPOSER,
            principal=first.principal,
            channel=first.channel,
            conversation_id=self._row.id,
            created_at=at,
            not_after=later(at, self._means.settings.verdict_ttl_s),
        )

    async def _is_settled(self, turn: Turn) -> bool:
        """Whether all that the last answer began has come to something."""
        return await self._has_come(turn.steps[-1].proposed.values(), turn)

    async def _has_come(self, proposed: Iterable[Proposed], turn: Turn) -> bool:
        """Whether all of these have come to something; runs are looked at."""
        waiting = [one for one in proposed if not one.is_settled]
        now = self._means.clock.now().timestamp()
        for one in waiting:
            began = moment(one.decision.created_at).timestamp()
            if one.run_id:
                told = await self._desk.told_of(one.run_id)
                late = now - began > self._means.settings.run_wait_s
                rests = told.get("paused_reason", "wait") != "wait"
                if late or rests or told["status"] in ENDED:
                    self._log.say(turn.id, "run_heard", run_id=one.run_id, told=told)

        await self._log.keep()
        return all(one.is_settled for one in waiting)

    async def settle_again(self) -> None:
        """Finish paying for what an earlier owner may have left open."""
        for turn in self._book.turns.values():
            if turn.steps and turn.asked == len(turn.steps):
                await self._settle(turn, turn.steps[-1].answer)

    async def hear_out(self) -> None:
        """Keep an answer that comes within ``hear_out_s``, so that it is paid once."""
        turn, call = self._book.thinking, self._call
        if turn is None or call is None:
            return

        await asyncio.wait([call], timeout=self._means.settings.hear_out_s)
        if call.done():
            await self._take_answer(turn, call.result())

    async def hang_up(self) -> None:
        """A call under way is given up: its answer was not stored."""
        if self._call is not None and not self._call.done():
            self._call.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._call])

    async def _settle(self, turn: Turn, answer: ModelAnswer) -> None:
        await self._thinking.settle(self._row.tenant, turn.reserved, answer)


def awaits(one: Proposed) -> bool:
    """Whether a person is asked about it."""
    return isinstance(one.verdict, Awaiting) and one.outcome is None


def _is_usable(answer: ModelAnswer) -> bool:
    """Whether there is a text or a call, and each call has an id of its own."""
    ids = {one.call_id for one in answer.calls}
    return len(ids) == len(answer.calls) and bool(answer.text or ids)


def _reply(turn: Turn, *words: str) -> str:
    """The model's words, and what the person must hear besides."""
    return "\n\n".join(filter(None, [*words, *wording.notes(turn.proposed())]))

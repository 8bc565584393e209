"""One message per long run that tells how the run is, edited while it goes on.

It is a courtesy: what the run came to is told by the conversation. A message whose
sending nobody knows the end of is left alone, so that there is never a second one.
"""

from __future__ import annotations

import structlog

from contracts import ENDED, DoorRecord, RunRow, TemporaryError, seconds_between
from gateways.telegram.bot_api import BotApiError, message_id_of
from gateways.telegram.chats import leave, move
from gateways.telegram.office import Office
from gateways.telegram.settings import DOOR

_AFTER_S = 10.0
"""So long a run goes on before its chat is told."""

_MOST = 500
_FIRST_S = 2.0
_SLOWER = 1.5
_LONGEST_S = 30.0
"""An unchanged run is looked at ever later, so late at most."""

_PASSING = frozenset({"server", "unreachable", "unauthorized", "flood"})


class Statuses:
    """Follows the runs that chats wait for."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._next: dict[str, tuple[float, float]] = {}
        """When a run is looked at again, and how long that was to be."""

        self._log = structlog.get_logger(DOOR).bind()

    async def look(self) -> None:
        """Look at every run whose time has come. Raises TemporaryError."""
        now = self._office.clock.monotonic()
        open_ = await self._office.records.waiting("status", _MOST)
        names = {record.name for record in open_}
        self._next = {name: at for name, at in self._next.items() if name in names}
        for record in open_:
            at, _ = self._next.get(record.name, (now, 0.0))
            if at <= now:
                await self._look_safely(record, now)

    async def _look_safely(self, record: DoorRecord, now: float) -> None:
        """A bug of ours ends one message, and stops no other."""
        try:
            await self._look_at(record, now)
        except TemporaryError:
            raise
        except Exception:  # noqa: BLE001 - one run must not stop the others
            self._log.exception("alarm", alarm="telegram_failed", run_id=record.name)
            await self._office.records.change(record, is_open=False)

    async def _look_at(self, record: DoorRecord, now: float) -> None:
        office = self._office
        run = await office.store.runs.get(office.tenant, record.name)
        if run is None or record.body.get("sending"):
            await office.records.change(record, is_open=False)
            return

        is_over = run.state.status in ENDED
        is_shown = "message_id" in record.body
        young = seconds_between(record.at, office.at()) < _AFTER_S
        if not is_shown and is_over:
            await office.records.change(record, is_open=False)
        elif not is_shown and young:
            self._next[record.name] = (now + 1.0, _FIRST_S)
        elif record.body.get("text") == line_of(run):
            self._look_later(record, now)
        else:
            await self._show(record, run, is_over=is_over)

    def _look_later(self, record: DoorRecord, now: float) -> None:
        _, before = self._next.get(record.name, (0.0, _FIRST_S))
        wait_s = min(before * _SLOWER, _LONGEST_S)
        self._next[record.name] = (now + wait_s, wait_s)

    async def _show(self, record: DoorRecord, run: RunRow, *, is_over: bool) -> None:
        """Send the message, or edit it; not while the chat must wait."""
        office, text = self._office, line_of(run)
        chat_id, now = int(record.body["chat_id"]), office.clock.monotonic()
        if office.pacing.wait_s(chat_id, now):
            return

        try:
            if "message_id" in record.body:
                await self._edit(record, chat_id, text)
                await office.records.change(record, text=text, is_open=not is_over)
            else:
                await self._send(record, chat_id, text)
        except BotApiError as error:
            await self._failed(record, chat_id, error)

        self._next[record.name] = (now + _FIRST_S, _FIRST_S)

    async def _send(self, record: DoorRecord, chat_id: int, text: str) -> None:
        office = self._office
        claimed = await office.records.change(record, sending=True)
        if claimed is None:
            return  # another shows it

        try:
            message = await office.api.call(
                "sendMessage", chat_id=chat_id, text=text, disable_notification=True
            )
        except BotApiError as error:
            if error.kind == "lost":
                await office.records.change(claimed, is_open=False)
                return

            await office.records.change(claimed, sending=False)
            raise

        office.pacing.sent(chat_id, office.clock.monotonic())
        await office.records.change(
            claimed, sending=False, text=text, message_id=message_id_of(message)
        )

    async def _edit(self, record: DoorRecord, chat_id: int, text: str) -> None:
        office = self._office
        try:
            await office.api.call(
                "editMessageText",
                chat_id=chat_id,
                message_id=record.body["message_id"],
                text=text,
            )
        except BotApiError as error:
            if error.kind != "not_modified":
                raise

        office.pacing.sent(chat_id, office.clock.monotonic())

    async def _failed(
        self, record: DoorRecord, chat_id: int, error: BotApiError
    ) -> None:
        """Wait for what passes; a message that cannot be shown is given up."""
        office = self._office
        latest = await office.records.get("status", record.name) or record
        if error.kind == "flood":
            now = office.clock.monotonic()
            office.pacing.flooded(chat_id, now, error.retry_after_s)
        elif error.kind == "migrated" and error.moved_to is not None:
            await move(office, chat_id, error.moved_to)
            await office.records.change(latest, chat_id=error.moved_to)
        elif error.kind not in _PASSING and error.kind != "lost":
            if error.kind == "blocked":
                await leave(office, chat_id)

            await office.records.change(latest, is_open=False)
            self._log.info("telegram.status", run_id=record.name, kind=error.kind)


async def follow(office: Office, delivery: DoorRecord, chat_id: int) -> None:
    """Follow the runs that a text told its chat of. Raises TemporaryError."""
    for run_id in delivery.body.get("runs") or ():
        body = {"chat_id": chat_id}
        await office.records.add("status", run_id, body, is_open=True)


def line_of(run: RunRow) -> str:
    """How a run is, in one line; pure."""
    state = run.state
    if state.status in ENDED:
        since, until = state.started_at or run.created_at, state.finished_at
        took = seconds_between(since, until) if until else 0.0
        why = f": {state.error.message}" if state.error else ""
        return f"{run.workflow}: {state.status} after {took:.0f} s{why}"

    paused, nodes = state.paused_reason, state.steps_state.items()
    doing = f"waits ({paused})" if paused else state.status
    at = [name for name, node in nodes if node.status in ("running", "waiting")]
    where = f" at {', '.join(at[:3])}" if at else ""
    done = sum(1 for _, node in nodes if node.status == "completed")
    steps = "1 step" if done == 1 else f"{done} steps"
    return f"{run.workflow}: {doing}{where}, {steps} done"

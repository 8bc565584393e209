"""Buttons under an approval: who is asked, and what pressing one proposes."""

from __future__ import annotations

import json
import secrets

import structlog

from contracts import (
    Action,
    Approval,
    Awaiting,
    DoorRecord,
    Outcome,
    Refused,
    derived_id,
    known_as,
)
from gateways.telegram.accounts import Accounts
from gateways.telegram.bot_api import BotApiError
from gateways.telegram.chats import is_gone
from gateways.telegram.office import Office
from gateways.telegram.settings import DOOR
from gateways.telegram.updates import Pressed

_NOTHING = "This button is not valid any more."
_STRANGER = "This account is not linked."
_PASSING = frozenset({"blocked", "server"})
"""Why a question may not have arrived, and still can."""

_MOST_SHOWN = 1_500
_PAGE = 100
_WORDS = {"grant": "Approve", "refuse": "Refuse"}
_ACTIONS: dict[str, Action] = {
    "grant": "approval.grant",
    "refuse": "approval.refuse",
}


class Asking:
    """Asks everybody who may vote on an approval, once, in their own chat."""

    def __init__(self, office: Office, accounts: Accounts) -> None:
        self._office = office
        self._accounts = accounts
        self._asked: set[str] = set()
        """What is known to be asked, so that it is not looked up every second."""

    async def ask(self) -> None:
        """Look for approvals that wait. Raises StoreUnavailable."""
        page = await self._office.store.approvals.page(
            self._office.tenant, state="waiting", limit=_PAGE
        )
        if not page.items:
            self._asked.clear()
            return

        everybody = await self._accounts.everybody()
        due = {
            f"{approval.id}:{user_id}": (approval, user_id)
            for approval in reversed(page.items)
            for user_id, principal in everybody.items()
            if {*known_as(principal)} & {*approval.approvers}
        }
        self._asked &= set(due)
        for name, (approval, user_id) in due.items():
            if name not in self._asked and await self._ask(name, approval, user_id):
                self._asked.add(name)

    async def _ask(self, name: str, approval: Approval, user_id: int) -> bool:
        """Whether nothing is left to do. Every step may be made again."""
        office = self._office
        told = await office.records.get("delivery", f"asked:{name}")
        if told is not None:
            return await self._ask_again(told, user_id)

        drawn = {vote: secrets.token_urlsafe(24) for vote in _WORDS}
        asked, _ = await office.records.add("asked", name, drawn)
        for vote in _WORDS:
            body = {"approval_id": approval.id, "vote": vote, "user_id": user_id}
            await office.records.add("button", asked.body[vote], body)

        buttons = tuple((word, asked.body[vote]) for vote, word in _WORDS.items())
        await office.tell(user_id, _question(approval), f"asked:{name}", buttons)
        return False

    async def _ask_again(self, told: DoorRecord, user_id: int) -> bool:
        """Send a question again that did not arrive, once its chat takes messages."""
        if told.is_open:
            return False

        if told.body["state"] != "refused" or told.body.get("kind") not in _PASSING:
            return True

        if await is_gone(self._office, user_id):
            return False

        await self._office.records.change(told, is_open=True, state=None, tries=0)
        self._office.goes_out.set()
        return False


class Pressing:
    """Proposes the vote of whoever pressed a button, and says who decided."""

    def __init__(self, office: Office, accounts: Accounts) -> None:
        self._office = office
        self._accounts = accounts
        self._log = structlog.get_logger(DOOR).bind()

    async def press(self, record: DoorRecord, heard: Pressed) -> str:
        """Take in a press; how it ended, for the record. Raises TemporaryError."""
        button = await self._office.records.get("button", heard.data[:64] or "-")
        principal = await self._accounts.of(heard.user_id)
        if principal is None:
            return await self._answer(heard, _STRANGER, "stranger")

        if button is None or button.body["user_id"] != heard.user_id:
            return await self._answer(heard, _NOTHING, "unknown_button")

        used_by = button.body.get("used_by", record.name)
        if used_by != record.name:
            return await self._answer(heard, _NOTHING, "used_button")

        if "used_by" not in button.body and not await self._office.records.change(
            button, used_by=record.name
        ):
            return await self._answer(heard, _NOTHING, "used_button")

        vote, approval_id = button.body["vote"], button.body["approval_id"]
        answer = await self._office.propose(
            derived_id("dec", record.body["message_id"], "vote"),
            _ACTIONS[vote],
            {"approval_id": approval_id},
            (principal, heard.chat_id),
        )
        told = _ending(vote, answer, record.body["raw"])
        await self._strip(heard, told)
        return await self._answer(heard, told, vote)

    async def _answer(self, heard: Pressed, text: str, ending: str) -> str:
        """Tell the person; one that cannot be told any more is no failure."""
        try:
            await self._office.api.call(
                "answerCallbackQuery",
                callback_query_id=heard.callback_id,
                text=text[:200],
            )
        except BotApiError as error:
            self._log.info("telegram.unanswered", kind=error.kind)

        return ending

    async def _strip(self, heard: Pressed, told: str) -> None:
        """Take the buttons away, and say below who decided."""
        try:
            await self._office.api.call(
                "editMessageReplyMarkup",
                chat_id=heard.chat_id,
                message_id=heard.message_id,
                reply_markup={"inline_keyboard": []},
            )
        except BotApiError as error:
            self._log.info("telegram.unedited", kind=error.kind)

        name = f"pressed:{heard.callback_id}"[:300]
        await self._office.tell(heard.chat_id, told, name)


def _question(approval: Approval) -> str:
    """What will happen if it is granted."""
    shown = json.dumps(approval.args, ensure_ascii=False, indent=1)
    if len(shown) > _MOST_SHOWN:
        shown = f"{shown[:_MOST_SHOWN]} …"

    rules = ", ".join(approval.rules)
    return (
        f"**{approval.action}** waits for you (rule {rules}).\n"
        f"```\n{shown}\n```\n"
        f"Until {approval.expires_at}. {approval.id}"
    )


def _ending(vote: str, answer: Refused | Awaiting | Outcome, raw: object) -> str:
    """What became of a vote, and whose it was."""
    word = {"grant": "Approved", "refuse": "Refused"}[vote]
    if isinstance(answer, Refused):
        return f"Not counted ({answer.code}): {answer.message}"

    if isinstance(answer, Awaiting):
        return f"Not counted yet: {answer.approval_id} must be granted first."

    if answer.state != "succeeded":
        fault = answer.error
        why = f"({fault.code}): {fault.message}" if fault else answer.state
        return f"Not counted {why}"

    return f"{word} by {_name(raw)}."


def _name(raw: object) -> str:
    callback = raw.get("callback_query") if isinstance(raw, dict) else None
    sender = callback.get("from") if isinstance(callback, dict) else None
    given = sender.get("first_name") if isinstance(sender, dict) else None
    return str(given or "you")[:60]

"""What is known of a chat: whether it wants messages, which id it has now, or had."""

from __future__ import annotations

from gateways.telegram.office import Office


async def leave(office: Office, chat_id: int) -> None:
    """Remember that a chat wants no messages."""
    gone = {"is_gone": True}
    stored, ours = await office.records.add("chat", str(chat_id), gone, kept_s=None)
    if not ours:
        await office.records.change(stored, **gone)


async def come_back(office: Office, chat_id: int) -> None:
    """Who writes wants to be answered."""
    record = await office.records.get("chat", str(chat_id))
    if record is not None and record.body.get("is_gone"):
        await office.records.change(record, is_gone=False)


async def is_gone(office: Office, chat_id: int) -> bool:
    """Whether a chat wants no messages."""
    record = await office.records.get("chat", str(chat_id))
    return record is not None and bool(record.body.get("is_gone"))


async def move(office: Office, chat_id: int, new_chat_id: int) -> None:
    """Remember that a chat has another id now, in both directions."""
    for name, body in (
        (str(chat_id), {"now": new_chat_id}),
        (str(new_chat_id), {"was": chat_id}),
    ):
        stored, ours = await office.records.add("chat", name, body, kept_s=None)
        if not ours and not body.items() <= stored.body.items():
            await office.records.change(stored, **body)


async def id_now(office: Office, address: str) -> int:
    """The id that the chat of an address has now."""
    record = await office.records.get("chat", address)
    now = record.body.get("now") if record is not None else None
    return int(now or address)


async def addresses_of(office: Office, chat_id: int) -> tuple[str, ...]:
    """Where its conversation may stand: where the chat was before, and where it is."""
    record = await office.records.get("chat", str(chat_id))
    was = record.body.get("was") if record is not None else None
    return (str(chat_id),) if was is None else (str(was), str(chat_id))

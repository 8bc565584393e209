"""Idempotency-Key: a key names a decision, and the same body gets its answer."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from contracts import (
    Approved,
    Conflict,
    IdempotencyRow,
    InvalidInput,
    Refused,
    TemporaryError,
    derived_id,
    digest,
    later,
)
from contracts.failpoints import reach
from gateways.http.call import Call
from gateways.http.proposing import (
    Answer,
    Patience,
    Proposed,
    answered_before,
    propose,
)

_HEADER = "Idempotency-Key"
_FORM = re.compile(r'[\x21\x23-\x7e]{1,255}|"[\x21\x23-\x7e]{1,255}"')
_KEPT_S = 86_400
_IN_FLIGHT_S = 15.0
"""After so long a request without a recorded decision was cut off."""

AGAIN_S = 2.0
"""How long a request waits for what an earlier one of the same key still waits for."""

_NEVER_JUDGED = frozenset(
    {"gate_unavailable", "bus_backlog", "redis_unavailable", "draining"}
)
"""With these nothing happened and nothing will."""


class Kept(NamedTuple):
    """A key with what it names."""

    row: IdempotencyRow
    first: bool
    """Whether nobody had it before."""


class Claimed(NamedTuple):
    """What is proposed under a key, or without one."""

    proposed: Proposed
    """It names its decision."""

    row: IdempotencyRow | None = None
    first: bool = True


async def propose_once(call: Call, proposed: Proposed, patience: Patience) -> Answer:
    """Propose, or give the answer of the decision that the caller's key names.

    Raises ``idempotency_key_invalid``, ``idempotency_key_reused``,
    ``request_in_progress``.
    """
    return await propose_claimed(call, await claim(call, proposed), patience)


async def claim(call: Call, proposed: Proposed) -> Claimed:
    """The proposal with the decision it is, which the caller's key may name.

    Raises ``idempotency_key_invalid``, ``idempotency_key_reused``.
    """
    kept = await keep_key(call, call.asked.route, _fingerprint(proposed))
    if kept is None:
        return Claimed(replace(proposed, decision_id=call.asked.decision_id))

    return Claimed(replace(proposed, decision_id=kept.row.decision_id), *kept)


async def keep_key(call: Call, route: str, fingerprint: str) -> Kept | None:
    """Keep the caller's key for a day, or find it kept; None if there is none.

    Raises ``idempotency_key_invalid``, ``idempotency_key_reused`` for another body.
    """
    key = _key_of(call)
    if key is None:
        return None

    at = call.door.at()
    row = IdempotencyRow(
        tenant=call.tenant,
        subject=call.principal.subject,
        route=route,
        key=key,
        fingerprint=fingerprint,
        decision_id=call.asked.decision_id,
        created_at=at,
        expires_at=later(at, _KEPT_S),
    )
    reach("B1")
    kept = Kept(*await call.door.store.idempotency.claim(row))
    reach("B2")
    if kept.row.fingerprint != fingerprint:
        raise Conflict(code="idempotency_key_reused")

    return kept


def is_in_flight(call: Call, row: IdempotencyRow) -> bool:
    """Whether the request that first had the key may still wait for its answer."""
    return later(row.created_at, _IN_FLIGHT_S) > call.door.at()


async def propose_claimed(call: Call, claimed: Claimed, patience: Patience) -> Answer:
    """Propose what was claimed first, or answer as it was answered then.

    A key whose request never was judged, or was refused, is free again.
    Raises ``request_in_progress`` while the first request still runs.
    """
    row = claimed.row
    if row is None:
        return await propose(call, claimed.proposed, patience)

    if not claimed.first:
        decision_id, earlier = await _earlier(call, row)
        if earlier is not None:
            return earlier

        claimed = Claimed(replace(claimed.proposed, decision_id=decision_id), row)

    return await _propose_first(call, claimed.proposed, row, patience)


async def _propose_first(
    call: Call, proposed: Proposed, row: IdempotencyRow, patience: Patience
) -> Answer:
    try:
        answer = await propose(call, proposed, patience)
    except TemporaryError as error:
        if error.code in _NEVER_JUDGED:
            await forget(call, row)

        raise

    if isinstance(answer.verdict, Refused):
        await forget(call, row)

    return answer


async def forget(call: Call, row: IdempotencyRow) -> None:
    """Free a key: nothing came of its request. Raises StoreUnavailable."""
    keys = call.door.store.idempotency
    await keys.forget(row.tenant, row.subject, row.route, row.key)


def _key_of(call: Call) -> str | None:
    """The caller's Idempotency-Key. Raises ``idempotency_key_invalid``."""
    given = call.request.headers.getall(_HEADER, [])
    if not given:
        return None

    if len(given) > 1 or not _FORM.fullmatch(given[0]):
        raise InvalidInput(code="idempotency_key_invalid")

    return given[0].strip('"')


def _fingerprint(proposed: Proposed) -> str:
    return digest(
        {
            "action": proposed.action,
            "args": proposed.args,
            "reason": proposed.reason,
            "dry_run": proposed.dry_run,
        }
    )


async def _earlier(call: Call, row: IdempotencyRow) -> tuple[str, Answer | None]:
    """The decision that the key names now, and its answer if there is one.

    There is none if the request that claimed the key was cut off. A decision that was
    cut off and lapsed is followed by another one, the same for all who ask again.
    """
    decision_id = row.decision_id
    in_flight = is_in_flight(call, row)
    patience_s = AGAIN_S if in_flight else 0
    answer = await answered_before(call, decision_id, patience_s)
    while answer is not None and _has_lapsed(answer):
        decision_id = derived_id("dec", decision_id, "again")
        answer = await answered_before(call, decision_id)

    if answer is not None and answer.is_final:
        return decision_id, answer

    if in_flight:
        raise TemporaryError(code="request_in_progress")

    return decision_id, None


def _has_lapsed(answer: Answer) -> bool:
    """Whether nobody judged it in time, or it was approved and carried out by nobody.

    The first is on record if its request was cut off before the gate heard it too late.
    """
    if isinstance(answer.verdict, Refused):
        return answer.verdict.code in _NEVER_JUDGED

    lapsed = answer.outcome is not None and answer.outcome.state == "expired"
    return lapsed and isinstance(answer.verdict, Approved)

"""Idempotency-Key: a key names a decision, and the same body gets its answer."""

from __future__ import annotations

import re

from contracts import (
    Approved,
    Conflict,
    IdempotencyRow,
    InvalidInput,
    JsonObject,
    Refused,
    TemporaryError,
    derived_id,
    digest,
    later,
    new_id,
)
from gateways.http.call import Call
from gateways.http.proposing import (
    Answer,
    Proposed,
    Wait,
    answered_before,
    propose,
    settled,
)

_HEADER = "Idempotency-Key"
_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_S = 86_400
_IN_FLIGHT_S = 15.0
"""After so long a request without a recorded decision was cut off."""

_PATIENCE_S = 2.0


async def propose_once(
    call: Call,
    proposed: Proposed,
    *,
    wait: Wait = "outcome",
    timeout_s: float = 30.0,
) -> tuple[Answer, bool]:
    """Propose, or give the answer of the decision that the caller's key names.

    The second value tells whether the answer is an earlier one's.
    Raises ``idempotency_key_invalid``, ``idempotency_key_reused``,
    ``request_in_progress``.
    """
    key = _key(call)
    if key is None:
        return await propose(call, proposed, wait=wait, timeout_s=timeout_s), False

    row, first = await _claim(call, key, proposed)
    decision_id = row.decision_id
    if not first:
        decision_id, earlier = await _earlier(call, row)
        if earlier is not None:
            return earlier, True

    named = _named(proposed, decision_id)
    answer = await propose(call, named, wait=wait, timeout_s=timeout_s)
    if isinstance(answer.verdict, Refused):
        await call.door.store.idempotency.forget(
            row.tenant, row.subject, row.route, row.key
        )

    return answer, False


def _key(call: Call) -> str | None:
    given = call.request.headers.get(_HEADER)
    if given is None:
        return None

    if len(given) > 1 and given[0] == given[-1] == '"':
        given = given[1:-1]

    if not _FORM.fullmatch(given) or '"' in given:
        raise InvalidInput(code="idempotency_key_invalid")

    return given


async def _claim(
    call: Call, key: str, proposed: Proposed
) -> tuple[IdempotencyRow, bool]:
    at = call.door.at()
    resource = call.request.match_info.route.resource
    row = IdempotencyRow(
        tenant=call.tenant,
        subject=call.principal.subject,
        route=f"{call.request.method} {resource.canonical if resource else ''}",
        key=key,
        fingerprint=digest(_meant(proposed)),
        decision_id=new_id("dec"),
        created_at=at,
        expires_at=later(at, _KEPT_S),
    )
    stored, first = await call.door.store.idempotency.claim(row)
    if stored.fingerprint != row.fingerprint:
        raise Conflict(code="idempotency_key_reused")

    return stored, first


def _meant(proposed: Proposed) -> JsonObject:
    return {
        "action": proposed.action,
        "args": proposed.args,
        "reason": proposed.reason,
        "dry_run": proposed.dry_run,
    }


async def _earlier(call: Call, row: IdempotencyRow) -> tuple[str, Answer | None]:
    """The decision that the key names now, and its answer if there is one.

    There is none if the request that claimed the key was cut off. A decision that was
    cut off and lapsed is followed by another one, the same for all who ask again.
    """
    decision_id = row.decision_id
    answer = await _answer_to(call, decision_id)
    while answer is not None and _has_lapsed(answer):
        decision_id = derived_id("dec", decision_id, "again")
        answer = await _answer_to(call, decision_id)

    if answer is None and later(row.created_at, _IN_FLIGHT_S) > call.door.at():
        raise TemporaryError(code="request_in_progress")

    return decision_id, answer


async def _answer_to(call: Call, decision_id: str) -> Answer | None:
    await settled(call, decision_id, _PATIENCE_S)
    return await answered_before(call, decision_id)


def _has_lapsed(answer: Answer) -> bool:
    """Whether it was approved, and nobody carried it out in time."""
    lapsed = answer.outcome is not None and answer.outcome.state == "expired"
    return lapsed and isinstance(answer.verdict, Approved)


def _named(proposed: Proposed, decision_id: str) -> Proposed:
    return Proposed(
        proposed.action, proposed.args, proposed.reason, proposed.dry_run, decision_id
    )

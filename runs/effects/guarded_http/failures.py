"""What a failed call proves: not sent, sent without an answer, or badly answered."""

from __future__ import annotations

import aiohttp

from contracts import AnswerUnusable, CallRefused, NotSent, SentNoAnswer
from runs.effects.guarded_http.calls import Progress

CallFailure = NotSent | SentNoAnswer | CallRefused | AnswerUnusable
"""Every way a call fails; ``sent`` of each says whether a byte may have left."""


class ConnectionFailed(aiohttp.ClientError):
    """A connection broke; a class of its own, because aiohttp repeats the others."""


def failure(error: Exception, progress: Progress) -> CallFailure:
    """What an error of aiohttp or of the socket means for the call."""
    if not progress.sent:
        return NotSent(_unreachable(error))

    if isinstance(error, aiohttp.ClientResponseError):
        return AnswerUnusable(status=progress.answered)

    return SentNoAnswer(
        "The connection broke before the whole answer was there.",
        reason="reset",
        details=_details(progress),
    )


def too_late(progress: Progress) -> CallFailure:
    """What it means that the time of a call is up."""
    if not progress.sent:
        return NotSent("The host could not be reached in time.")

    return SentNoAnswer(
        "The whole answer did not come in time.",
        reason="timeout",
        details=_details(progress),
    )


def _unreachable(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "The host name could not be resolved."

    if isinstance(error, aiohttp.ClientSSLError):
        return "No trusted TLS connection to the host could be made."

    return "The host could not be connected to."


def _details(progress: Progress) -> dict[str, int]:
    return {} if progress.answered is None else {"status": progress.answered}

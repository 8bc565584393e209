"""What every bus says in the log: one line a message at each step, the same fields."""

from __future__ import annotations

from typing import Any

import structlog

from contracts import Envelope


class LogLines:
    """The log of a bus."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("bus").bind()

    def published(self, envelope: Envelope) -> None:
        """The bus took a message."""
        self._log.info(
            "message.published",
            message_id=envelope.id,
            kind=envelope.kind,
            sender=envelope.sender,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            tenant=envelope.tenant,
        )

    def published_again(self, message_id: str, kind: str) -> None:
        """A dead letter goes to its kind once more."""
        self._log.info("message.published", message_id=message_id, kind=kind)

    def delivered(self, envelope: Envelope, group: str, tries: int) -> None:
        """A message goes to the handler of a group."""
        self._log.info(
            "message.delivered",
            message_id=envelope.id,
            kind=envelope.kind,
            group=group,
            correlation_id=envelope.correlation_id,
            tries=tries,
        )

    def retried(
        self, envelope: Envelope, group: str, tries: int, **why: object
    ) -> None:
        """A message will be tried again; ``why`` names the delay and the error."""
        self._log.warning(
            "message.retried",
            message_id=envelope.id,
            kind=envelope.kind,
            group=group,
            correlation_id=envelope.correlation_id,
            tries=tries,
            **why,
        )

    def dead(self, message_id: str, envelope: Envelope | None, **why: object) -> None:
        """A message is a dead letter; ``why`` names kind, group, reason and tries."""
        self._log.error(
            "message.dead",
            message_id=message_id,
            correlation_id=envelope.correlation_id if envelope else None,
            **why,
        )

    def replied(self, envelope: Envelope, *, heard: bool) -> None:
        """A reply went to the channel of a process."""
        self._log.info(
            "message.replied",
            message_id=envelope.id,
            kind=envelope.kind,
            sender=envelope.sender,
            in_reply_to=envelope.in_reply_to,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            heard=heard,
        )

    def alarm(self, name: str, **more: Any) -> None:
        """Somebody should look: see the alarms of the runbook."""
        self._log.warning("alarm", alarm=name, **more)

    def dropped(self, what: str, error: Exception) -> None:
        """Something that may be lost was lost."""
        self._log.debug("hint.dropped", what=what, error=str(error))

"""Every error the system may name: one root, two fates, one table of codes.

``TemporaryError`` is worth another try, ``PermanentError`` is not; nothing else
decides.
A code is stable snake_case, has one HTTP status and one sentence, and is rendered
into ``docs/errors.md``.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Code(NamedTuple):
    """The HTTP status of an error code and the sentence that explains it."""

    status: int
    sentence: str


CODES: dict[str, Code] = {
    # 400: the request cannot be read
    "json_invalid": Code(400, "The body is not valid JSON."),
    "json_trailing_data": Code(400, "The body holds something after its JSON value."),
    "json_not_utf8": Code(400, "The body is not UTF-8."),
    "json_duplicate_key": Code(400, "The body names a key twice."),
    "json_too_deep": Code(400, "The body is nested deeper than the limit."),
    "yaml_invalid": Code(422, "The body is not valid YAML."),
    "yaml_alias_not_allowed": Code(422, "YAML anchors and aliases are not allowed."),
    "yaml_merge_not_allowed": Code(422, "YAML merge keys are not allowed."),
    "yaml_duplicate_key": Code(422, "The YAML names a key twice."),
    "yaml_too_large": Code(422, "The YAML is larger than the limit."),
    "yaml_key_not_text": Code(422, "A YAML key is not text."),
    "ambiguous_number": Code(422, "A number stands where text is due; quote it."),
    "number_invalid": Code(422, "A number is not finite."),
    "invalid_cursor": Code(400, "The cursor is not one of this list."),
    "invalid_id": Code(400, "The id does not have the form of an id."),
    "invalid_path": Code(400, "The path holds characters that no route has."),
    "unknown_parameter": Code(400, "The query holds a parameter this route lacks."),
    "idempotency_key_invalid": Code(
        400, "An Idempotency-Key is 1 to 255 visible ASCII characters."
    ),
    "last_event_id_ahead": Code(400, "Last-Event-ID is beyond the last event."),
    "bad_framing": Code(400, "The request is not well-formed HTTP."),
    "credentials_in_url": Code(400, "Credentials do not belong in a URL."),
    # 401, 403: who asks
    "unauthenticated": Code(401, "This route needs a bearer key."),
    "invalid_credentials": Code(401, "The key is not valid."),
    "refused": Code(403, "The gate refused this decision."),
    "forbidden": Code(403, "The key lacks the permission for this."),
    "frozen": Code(403, "This is frozen for now."),
    "self_approval": Code(403, "Nobody may vote on what they proposed."),
    "not_an_approver": Code(403, "The key does not belong to an approver."),
    "tool_not_allowed": Code(403, "The tool is not allowed here."),
    "address_not_allowed": Code(403, "The address is not one a tool may call."),
    "cross_site_request": Code(403, "A page of another site may not ask for this."),
    "tenant_suspended": Code(403, "The tenant is suspended."),
    # 404 to 431: what is asked for
    "not_found": Code(404, "There is nothing of that name or id."),
    "route_not_found": Code(404, "There is no such route."),
    "method_not_allowed": Code(405, "The route does not take this method."),
    "not_acceptable": Code(406, "The answer cannot be given in that media type."),
    "body_incomplete": Code(408, "The body did not arrive in time."),
    "name_conflict": Code(409, "The name is taken."),
    "version_conflict": Code(409, "The definition has changed since that version."),
    "slug_taken": Code(409, "The slug is taken."),
    "in_use": Code(409, "Something published uses this."),
    "not_waiting": Code(409, "This no longer waits for an answer."),
    "approval_changed": Code(409, "What is asked has changed; look and vote again."),
    "request_in_progress": Code(409, "The first request with this key still runs."),
    "idempotency_key_reused": Code(409, "This key was used with another body."),
    "decision_conflict": Code(409, "Another decision has this id."),
    "run_exists": Code(409, "An open run of this workflow has this key."),
    "run_canceled": Code(409, "The run was canceled."),
    "run_not_open": Code(409, "The run has ended."),
    "run_not_ended": Code(409, "The run has not ended."),
    "id_in_use": Code(409, "The id is in use."),
    "expired": Code(410, "What was asked for has aged out."),
    "events_expired": Code(410, "The events asked for have aged out."),
    "body_too_large": Code(413, "The body is larger than the limit."),
    "message_too_large": Code(413, "The message is larger than the limit."),
    "uri_too_long": Code(414, "The URL is longer than the limit."),
    "unsupported_media_type": Code(415, "The route does not take this media type."),
    "unknown_host": Code(421, "The host is not one of ours."),
    "headers_too_large": Code(431, "A header is longer than the limit."),
    # 422: what was said is wrong
    "invalid": Code(422, "The request is not valid."),
    "type_error": Code(422, "A value has the wrong type."),
    "unknown_field": Code(422, "A field is not known here."),
    "string_too_long": Code(422, "A text is longer than the limit."),
    "too_many_items": Code(422, "There are more items than the limit."),
    "out_of_range": Code(422, "A number is out of range."),
    "number_out_of_range": Code(422, "A number is too large to keep exactly."),
    "not_an_integer": Code(422, "A number is not an integer."),
    "forbidden_character": Code(422, "A name holds a character names may not."),
    "invalid_url": Code(422, "A URL is not valid."),
    "scheme_not_allowed": Code(422, "Only http and https URLs are allowed."),
    "workflow_not_an_object": Code(422, "A definition is an object."),
    "graph_no_entry": Code(422, "The graph has no start node."),
    "graph_many_entries": Code(422, "The graph has more than one start node."),
    "graph_no_end": Code(422, "The graph has no end node."),
    "graph_cycle": Code(422, "The graph has a cycle."),
    "graph_unreachable": Code(422, "A node cannot be reached, or reaches no end."),
    "graph_too_large": Code(422, "The graph is larger than the limit."),
    "graph_missing_default": Code(422, "A branch has no default."),
    "graph_unknown_node": Code(422, "An edge names a node that is not there."),
    "graph_invalid_edge": Code(422, "An edge does not fit the node it leaves."),
    "duplicate_node": Code(422, "Two nodes have one id."),
    "reserved_node_id": Code(422, "A node id is a reserved word."),
    "loop_unbounded": Code(422, "A loop has no bound."),
    "node_type_not_allowed": Code(422, "The node type does not belong here."),
    "missing_references": Code(422, "Something named here does not exist."),
    "unknown_tool": Code(422, "A tool named here does not exist."),
    "tool_not_found": Code(422, "The tool does not exist."),
    "idempotency_not_supported": Code(422, "The tool takes no idempotency key."),
    "unreachable_reference": Code(
        422, "An expression uses a node that cannot have run."
    ),
    "definition_too_new": Code(422, "The definition is of a newer schema."),
    "retry_limited": Code(422, "Only what was provably not sent is tried again."),
    "schema_invalid": Code(422, "A JSON Schema is not valid."),
    "input_invalid": Code(422, "The input breaks its schema."),
    "output_invalid": Code(500, "The output breaks its schema."),
    "cel_syntax": Code(422, "An expression cannot be parsed."),
    "cel_unknown_name": Code(422, "An expression uses an unknown name."),
    "cel_type": Code(422, "An expression mixes types."),
    "cel_no_such_field": Code(422, "An expression reads a field that is not there."),
    "cel_too_complex": Code(422, "An expression is larger than the limit."),
    "cel_cost_exceeded": Code(422, "An expression costs more than the limit."),
    "cel_failed": Code(422, "An expression failed."),
    "template_too_large": Code(422, "A template made more than the limit."),
    "template_syntax": Code(422, "A template cannot be parsed."),
    "slug_reserved": Code(422, "The slug is reserved."),
    "run_id_required": Code(422, "This route needs a run id."),
    "policy_invalid": Code(422, "The policy is not valid."),
    "action_unknown": Code(422, "There is no such action."),
    # 429: too much
    "budget_exceeded": Code(429, "A budget is used up."),
    "rate_limited": Code(429, "There are too many requests."),
    "too_many_streams": Code(429, "There are too many open streams."),
    # 500: it went wrong
    "internal": Code(500, "Something went wrong here; the log has the request id."),
    "workflow_failed": Code(500, "The workflow failed."),
    "stage_validation_failed": Code(500, "A model's answer broke its contract."),
    "effect_failed": Code(502, "The tool answered with a failure."),
    "upstream_invalid": Code(502, "The tool's answer cannot be read."),
    "response_too_large": Code(502, "The tool's answer is larger than the limit."),
    "run_too_large": Code(
        500, "The outputs of the run are together larger than the limit."
    ),
    "too_many_redirects": Code(502, "The tool redirected too often."),
    "tool_unreachable": Code(502, "The tool could not be reached."),
    "outcome_unknown": Code(500, "Whether the call happened is not known."),
    "tool_timeout": Code(504, "The tool did not answer in time."),
    "tool_raised": Code(500, "The tool raised an error."),
    # 503: not now
    "gate_unavailable": Code(503, "The gate did not answer in time; nothing happened."),
    "dependency_unavailable": Code(503, "Something this needs is not available."),
    "redis_unavailable": Code(503, "Redis does not answer."),
    "mongo_unavailable": Code(503, "MongoDB does not answer."),
    "store_unavailable": Code(503, "The store does not answer."),
    "store_busy": Code(503, "The store is busy."),
    "store_in_use": Code(503, "Another process uses the store."),
    "store_too_new": Code(503, "The store is of a newer schema."),
    "store_unusable": Code(503, "The store cannot be opened."),
    "bus_backlog": Code(503, "The bus is full."),
    "model_not_configured": Code(503, "No model is configured."),
    "model_unavailable": Code(503, "The model does not answer."),
    "model_timeout": Code(503, "The model did not answer in time."),
    "model_quota": Code(503, "The quota at the model's provider is used up."),
    "model_rejected": Code(500, "The model's provider refuses the call as it is."),
    "turn_limit": Code(500, "The turn took more steps than it was allowed."),
    "llm_incomplete": Code(500, "The model's answer was cut short."),
    "llm_refused": Code(500, "The model declined to answer."),
    "llm_bad_output": Code(500, "The model's answer cannot be used."),
    "llm_too_large": Code(500, "The model's answer is larger than the limit."),
    "too_many_calls": Code(500, "The model calls more functions at once than allowed."),
    "webhook_not_configured": Code(503, "The webhook has no secret."),
    "draining": Code(503, "This process is stopping."),
    "too_many_connections": Code(503, "There are too many connections."),
    # named at the run entry and on the bus
    "verdict_invalid": Code(403, "The verdict's seal does not fit what it covers."),
    "verdict_expired": Code(403, "The verdict has expired."),
    "verdict_not_yet_valid": Code(403, "The verdict is not valid yet."),
    "verdict_wrong_audience": Code(403, "The verdict is for somebody else."),
    "tenant_mismatch": Code(403, "The message crosses tenants."),
    "proposal_invalid": Code(422, "The proposal is not valid."),
    "canceled": Code(409, "It was canceled."),
    "signal_timeout": Code(504, "The signal did not come in time."),
}
"""Every code with its status and sentence; the one place that knows them."""


class SluicegateError(Exception):
    """Something went wrong.

    ``code`` is a key of ``CODES``; ``message`` is one sentence for the person who
    asked; ``details`` is JSON for the program that did.
    """

    code = "internal"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        details: dict[str, Any] | None = None,
    ) -> None:
        self.code = code or type(self).code
        self.message = message or CODES[self.code].sentence
        self.details = details or {}
        super().__init__(self.message)

    @property
    def status(self) -> int:
        """The HTTP status of this error's code."""
        return CODES[self.code].status


class TemporaryError(SluicegateError):
    """It may work later; trying again is worth it.

    ``delay`` is the least number of seconds to wait before the next try.
    """

    code = "dependency_unavailable"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        details: dict[str, Any] | None = None,
        delay: float | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.delay = delay


class PermanentError(SluicegateError):
    """It will fail in the same way every time; trying again is useless."""


class StoreUnavailable(TemporaryError):
    """The store did not do it, or did not answer; a write may have happened."""

    code = "store_unavailable"


class InboxFull(TemporaryError):
    """So much waits in an inbox already that nothing more is said into it."""

    code = "rate_limited"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} messages wait for an answer in this conversation already.",
            details={"limit": most},
            delay=5.0,
        )


class BusUnavailable(TemporaryError):
    """The bus did not take the message."""

    code = "bus_backlog"


class MaybePublished(BusUnavailable):
    """The bus did not say whether it took the message; it may have."""


class NoReply(TemporaryError):
    """Nobody gave the awaited answer in time; ``received`` holds what did come."""

    code = "gate_unavailable"

    def __init__(self, message: str = "", *, received: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.received = received


class SequenceConflict(PermanentError):
    """Another writer owns the stream now: stop, and touch nothing."""

    code = "not_waiting"


class Conflict(PermanentError):
    """Another writer was first; ``details`` says who won."""

    code = "version_conflict"


class NotFound(PermanentError):
    """There is nothing of that name or id in this tenant."""

    code = "not_found"


class InvalidInput(PermanentError):
    """What was said is wrong; ``problems`` lists all of it at once."""

    code = "invalid"


class VerdictRefused(PermanentError):
    """The run entry does not honour this verdict."""

    code = "verdict_invalid"


class ConfigurationError(PermanentError):
    """The configuration cannot be used; the process exits with 78."""

    code = "policy_invalid"


class NotSent(TemporaryError):
    """Not one byte of the request was sent; it may be made again."""

    code = "tool_unreachable"
    sent = False


class SentNoAnswer(TemporaryError):
    """The request was or may have been sent, and no whole answer came.

    ``details["status"]`` is there if the answer began.
    """

    code = "outcome_unknown"
    sent = True

    def __init__(
        self,
        message: str = "",
        *,
        reason: Literal["timeout", "reset", "canceled"],
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, details=details)
        self.reason = reason


class CallRefused(PermanentError):
    """The guard does not make this call.

    ``sent`` is true only if an earlier hop of the same call was sent.
    """

    code = "address_not_allowed"
    sent = False


class AnswerUnusable(PermanentError):
    """The request was answered, and the answer cannot be used.

    ``answered`` is its HTTP status, None if not even that could be read.
    """

    code = "upstream_invalid"
    sent = True

    def __init__(
        self, message: str = "", *, code: str = "", status: int | None = None
    ) -> None:
        super().__init__(
            message, code=code, details={} if status is None else {"status": status}
        )
        self.answered = status

"""Calls to addresses that users influence: checked, pinned, bounded, sent once."""

from __future__ import annotations

from runs.effects.guarded_http.addresses import refusal
from runs.effects.guarded_http.calls import HttpAnswer, HttpCall, Progress
from runs.effects.guarded_http.client import GuardedHttp
from runs.effects.guarded_http.failures import CallFailure
from runs.effects.guarded_http.policy import HttpPolicy
from runs.effects.guarded_http.resolving import Lookup, system_lookup
from runs.effects.guarded_http.targets import Target, parse_target

__all__ = [
    "CallFailure",
    "GuardedHttp",
    "HttpAnswer",
    "HttpCall",
    "HttpPolicy",
    "Lookup",
    "Progress",
    "Target",
    "parse_target",
    "refusal",
    "system_lookup",
]

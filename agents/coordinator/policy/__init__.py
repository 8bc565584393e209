"""The policy, pure: compiled, judged, explained, tried on what was recorded."""

from __future__ import annotations

from agents.coordinator.policy.compilation import FACTS, compile_policy
from agents.coordinator.policy.compiled import DEFAULT, CompiledPolicy
from agents.coordinator.policy.explanation import Explanation, RuleStory, explain
from agents.coordinator.policy.judgement import Judgement, judge
from agents.coordinator.policy.retrial import Retried, retry

__all__ = [
    "DEFAULT",
    "FACTS",
    "CompiledPolicy",
    "Explanation",
    "Judgement",
    "Retried",
    "RuleStory",
    "compile_policy",
    "explain",
    "judge",
    "retry",
]

"""CEL: conditions, computed values and ``${…}`` templates over plain JSON."""

from __future__ import annotations

from plans.expressions.escapes import in_header, in_url
from plans.expressions.expression import Expression, Wanted, compile_expression
from plans.expressions.rulesets import RuleSet
from plans.expressions.templates import Escape, Template, compile_template
from plans.expressions.vocabulary import CEL_WORDS, FUNCTIONS

__all__ = [
    "CEL_WORDS",
    "FUNCTIONS",
    "Escape",
    "Expression",
    "RuleSet",
    "Template",
    "Wanted",
    "compile_expression",
    "compile_template",
    "in_header",
    "in_url",
]

"""Judges many conditions at once, each exactly as if it were alone.

Rules that name a text, like ``decision.action == 'x' && …``, are looked up by it;
what is left is evaluated together as one list. If anything in a list fails, its
rules are evaluated one by one: an error is found in the rule that made it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts import InvalidInput
from plans.expressions.expression import Expression
from plans.expressions.guards import JSON_TYPES, Guard
from plans.expressions.paths import Path, Unreadable, follow, project, shape_of
from plans.expressions.programs import (
    Bound,
    Environment,
    Failed,
    Program,
    Rejected,
    environment,
)

_BATCH_RULES = 64
_BATCH_CHARACTERS = 50_000

_ABSENT = object()

Rules = dict[int, Expression]
"""Expressions by their index in the rule set."""


class RuleSet:
    """A fixed list of conditions, made to be judged often."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        rules = dict(enumerate(expressions))
        variables = expressions[0].variables if expressions else frozenset()
        environment_ = environment(variables)
        self._tables, unguarded = _tables(rules, environment_)
        self._unguarded = _Group(unguarded, environment_)

    def matches(self, values: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        """The indexes of the conditions that hold, and of those that fail; ascending.

        The same answers as ``holds`` gives one by one. Never raises for what the
        values hold.
        """
        tally = _Tally()
        self._unguarded.judge(values, tally)

        for table in self._tables:
            table.judge(values, tally)

        return sorted(tally.held), sorted(tally.errored)


@dataclass(slots=True)
class _Tally:
    """The indexes of the rules that hold, and of those that fail."""

    held: list[int] = field(default_factory=list)
    errored: list[int] = field(default_factory=list)

    def judge(self, rules: Rules, holds: Callable[[Expression], bool]) -> None:
        """Judge rules one by one."""
        for index, rule in rules.items():
            try:
                if holds(rule):
                    self.held.append(index)
            except InvalidInput:
                self.errored.append(index)


class _Table:
    """Rules that can only hold if the member at one path is a text they name."""

    def __init__(self, path: Path, rules: Rules, environment_: Environment) -> None:
        self._path = path
        self._rules = rules
        by_text: defaultdict[str, Rules] = defaultdict(dict)

        for index, rule in rules.items():
            for text in _guard_on(path, rule).texts:
                by_text[text][index] = rule

        self._groups = {t: _Group(some, environment_) for t, some in by_text.items()}
        self._none = _Group({}, environment_)

    def judge(self, values: Mapping[str, Any], tally: _Tally) -> None:
        try:
            value = follow(self._path, values)
        except KeyError:
            value = _ABSENT

        if type(value) is str:
            self._groups.get(value, self._none).judge(values, tally)
        elif type(value) not in JSON_TYPES:
            tally.judge(self._rules, lambda rule: rule.holds(values))


class _Group:
    """Rules of which all are judged whenever one is."""

    def __init__(self, rules: Rules, environment_: Environment) -> None:
        self._together = {
            index: rule
            for index, rule in rules.items()
            if rule.variables == environment_.variables and not rule.is_weighed
        }
        self._apart = {i: rule for i, rule in rules.items() if i not in self._together}
        self._shape = shape_of({p for e in self._together.values() for p in e.paths})
        self._bind = environment_.bind
        portions = _portions(self._together)
        self._batches = [_Batch(portion, environment_) for portion in portions]

    def judge(self, values: Mapping[str, Any], tally: _Tally) -> None:
        if self._together:
            self._judge_together(values, tally)

        if self._apart:
            tally.judge(self._apart, lambda rule: rule.holds(values))

    def _judge_together(self, values: Mapping[str, Any], tally: _Tally) -> None:
        try:
            bound = self._bind(project(self._shape, values))
        except Unreadable:
            tally.judge(self._together, lambda rule: rule.holds(values))
            return

        for batch in self._batches:
            batch.judge(bound, tally)


class _Batch:
    """Rules evaluated as one list of their values."""

    def __init__(self, rules: Rules, environment_: Environment) -> None:
        self._rules = rules
        self._program = _listing(rules, environment_) if len(rules) > 1 else None

    def judge(self, bound: Bound, tally: _Tally) -> None:
        for index, result in zip(self._rules, self._results(bound), strict=True):
            if result is True:
                tally.held.append(index)
            elif result is not False:
                alone = {index: self._rules[index]}
                tally.judge(alone, lambda rule: rule.run(bound) is True)

    def _results(self, bound: Bound) -> list[Any]:
        """Each rule's value; anything but a boolean where it must be asked alone."""
        try:
            results = self._program and self._program.run(bound)
        except Failed:
            results = None

        return results or [None] * len(self._rules)


def _listing(rules: Rules, environment_: Environment) -> Program | None:
    """One program for the values of all rules, unless together they are too deep."""
    source = ",".join(f"\n{rule.source}\n" for rule in rules.values())

    try:
        return environment_.compile(f"[{source}]")
    except Rejected:
        return None


def _portions(rules: Rules) -> Iterator[Rules]:
    """The rules in portions that one program can hold."""
    portion: Rules = {}
    characters = 0

    for index, rule in rules.items():
        characters += len(rule.source) + 3
        if portion and (characters > _BATCH_CHARACTERS or len(portion) == _BATCH_RULES):
            yield portion
            portion, characters = {}, len(rule.source)

        portion[index] = rule

    if portion:
        yield portion


def _tables(rules: Rules, environment_: Environment) -> tuple[list[_Table], Rules]:
    """The guarded rules under the path most rules are guarded by, and the others."""
    uses = Counter(path for rule in rules.values() for path in _guarded_by(rule))
    by_path: defaultdict[Path, Rules] = defaultdict(dict)
    unguarded: Rules = {}

    for index, rule in rules.items():
        paths = sorted(_guarded_by(rule), key=lambda path: (-uses[path], path))
        chosen = by_path[paths[0]] if paths else unguarded
        chosen[index] = rule

    tables = [_Table(path, some, environment_) for path, some in by_path.items()]
    return tables, unguarded


def _guarded_by(rule: Expression) -> set[Path]:
    return {guard.path for guard in rule.guards}


def _guard_on(path: Path, rule: Expression) -> Guard:
    return next(guard for guard in rule.guards if guard.path == path)

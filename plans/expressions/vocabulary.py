"""The words of the expression language: functions, macros and reserved words."""

from __future__ import annotations

_CORE = "bool bytes double duration dyn int string timestamp type uint size"
_MACROS = "has all exists exists_one map filter"
_TEXT = (
    "charAt contains endsWith format indexOf join lastIndexOf lowerAscii matches "
    "replace reverse split startsWith strings.quote substring trim upperAscii"
)
_TIME = (
    "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours "
    "getMilliseconds getMinutes getMonth getSeconds"
)
_NUMBERS = (
    "math.abs math.bitAnd math.bitNot math.bitOr math.bitShiftLeft "
    "math.bitShiftRight math.bitXor math.ceil math.floor math.greatest "
    "math.isFinite math.isInf math.isNaN math.least math.round math.sign math.sqrt "
    "math.trunc"
)
_OPTIONALS = (
    "first hasValue last optFlatMap optMap optional.none optional.of "
    "optional.ofNonZeroValue or orValue value"
)

FUNCTIONS = frozenset(
    f"{_CORE} {_MACROS} {_TEXT} {_TIME} {_NUMBERS} {_OPTIONALS}".split()
)
"""Every function and macro an expression may call."""

CEL_WORDS = frozenset(
    "as bool break bytes const continue double dyn else false for function if import "
    "in int let list loop map math namespace null null_type optional optional_type "
    "package return string strings true type uint var void while".split()
)
"""Words that mean something to CEL, so that nothing else may have them as its name."""

"""How large an expression may be and what it may cost: the one place to tune."""

from __future__ import annotations

SOURCE_BYTES = 10_240
"""An expression is shorter than this."""

TOKENS = 4_000
"""An expression has fewer tokens than this; checked before it is parsed."""

NESTING = 32
"""How deep brackets may nest; the parser's own limit on any recursion."""

NODES = 1_000
"""An expression has fewer nodes than this, macros written out."""

ITERATIONS = 10_000
"""How many times the loops of one evaluation may go round, all together."""

COST = 32_000_000
"""What one evaluation may cost; a unit is a character looked at (about 2 ns)."""

UNWEIGHED_CALLS = 32
"""How many cheap calls need no estimate before they are run."""

TEMPLATE_BYTES = 1_048_576
"""How large a rendered template may be, as canonical JSON."""

TEMPLATE_DEPTH = 64
"""How deep a template's value may nest."""

EXCERPT = 40
"""How many characters of an expression a message shows."""

DETAIL = 24
"""How many characters of a name or a parser's complaint a message shows."""

PROGRAMS_KEPT = 4_096
"""How many compiled expressions are kept for the next asker (about 8 KiB each)."""

ENVIRONMENTS_KEPT = 512
"""How many sets of variable names are kept ready (about 20 KiB each)."""

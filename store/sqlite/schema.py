"""The tables, as numbered steps; a step once released is never changed.

Every table is STRICT. A list has an index that begins with the tenant; a sweep over
all tenants has a partial index over the few rows it can want.
``runs.due`` says when an open run wants a worker: at once, when its lease or its
wait is over, or (NULL) never.
"""

from __future__ import annotations

from store.sqlite.chat_tables import CONVERSATIONS, DOOR_RECORDS
from store.sqlite.migrations import Step

_GATE = """
CREATE TABLE decisions (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  conversation_id TEXT,
  recorded_at TEXT NOT NULL,
  state TEXT NOT NULL,
  settled_at TEXT,
  outcome TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX decisions_id ON decisions (tenant, id);
CREATE INDEX decisions_recorded ON decisions (tenant, recorded_at, id);
CREATE INDEX decisions_action ON decisions (tenant, action, recorded_at, id);
CREATE INDEX decisions_state ON decisions (tenant, state, recorded_at, id);
CREATE INDEX decisions_subject ON decisions (tenant, subject, recorded_at, id);
CREATE INDEX decisions_chain ON decisions (tenant, correlation_id, recorded_at, id);
CREATE INDEX decisions_conversation
  ON decisions (tenant, conversation_id, recorded_at, id, action)
  WHERE conversation_id IS NOT NULL;
CREATE INDEX decisions_unperformed ON decisions (recorded_at)
  WHERE state = 'approved';

CREATE TABLE decision_rules (
  tenant TEXT NOT NULL,
  rule TEXT NOT NULL,
  recorded_at TEXT NOT NULL,
  decision_id TEXT NOT NULL,
  PRIMARY KEY (tenant, rule, recorded_at, decision_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  decision_id TEXT NOT NULL,
  run_id TEXT,
  node_id TEXT,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  asked_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX approvals_id ON approvals (tenant, id);
CREATE INDEX approvals_decision ON approvals (tenant, decision_id);
CREATE INDEX approvals_asked ON approvals (tenant, asked_at, id);
CREATE INDEX approvals_state ON approvals (tenant, state, asked_at, id);
CREATE INDEX approvals_run ON approvals (tenant, run_id)
  WHERE state = 'waiting' AND run_id IS NOT NULL;
CREATE INDEX approvals_due ON approvals (expires_at) WHERE state = 'waiting';

CREATE TABLE effects (
  tenant TEXT NOT NULL,
  decision_id TEXT NOT NULL,
  idx TEXT NOT NULL,
  state TEXT NOT NULL,
  claimed_at TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX effects_use ON effects (tenant, decision_id, idx);
CREATE INDEX effects_unfinished ON effects (claimed_at) WHERE state = 'claimed';

CREATE TABLE ledger (
  tenant TEXT NOT NULL,
  n INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  at TEXT NOT NULL,
  body_digest BLOB NOT NULL,
  prev BLOB NOT NULL,
  hash BLOB NOT NULL,
  body TEXT,
  PRIMARY KEY (tenant, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_ref ON ledger (tenant, ref);

CREATE TABLE ledger_heads (
  tenant TEXT NOT NULL PRIMARY KEY,
  n INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

_RUNS = """
CREATE TABLE runs (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  workflow TEXT NOT NULL,
  key TEXT,
  batch_id TEXT,
  origin TEXT NOT NULL,
  created_at TEXT NOT NULL,
  status TEXT NOT NULL,
  ended INTEGER NOT NULL
    GENERATED ALWAYS AS (status IN ('completed', 'failed', 'canceled')) VIRTUAL,
  lease_owner TEXT,
  lease_until TEXT,
  wake_at TEXT,
  unheard INTEGER NOT NULL DEFAULT 0,
  due TEXT GENERATED ALWAYS AS (
    CASE
      WHEN status IN ('completed', 'failed', 'canceled') THEN NULL
      WHEN lease_until IS NOT NULL THEN lease_until
      WHEN status <> 'paused' OR unheard THEN ''
      ELSE wake_at
    END
  ) VIRTUAL,
  state TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_id ON runs (tenant, id);
CREATE UNIQUE INDEX runs_open_key ON runs (tenant, workflow, key)
  WHERE key IS NOT NULL AND NOT ended;
CREATE INDEX runs_created ON runs (tenant, created_at, id);
CREATE INDEX runs_workflow ON runs (tenant, workflow, created_at, id);
CREATE INDEX runs_status ON runs (tenant, status, created_at, id);
CREATE INDEX runs_origin ON runs (tenant, origin, created_at, id);
CREATE INDEX runs_batch ON runs (tenant, batch_id, created_at, id)
  WHERE batch_id IS NOT NULL;
CREATE INDEX runs_due ON runs (due, created_at) WHERE due IS NOT NULL;

CREATE TABLE run_tags (
  tenant TEXT NOT NULL,
  tag TEXT NOT NULL,
  created_at TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (tenant, tag, created_at, run_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_events (
  tenant TEXT NOT NULL,
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  node_id TEXT,
  writer TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_inbox (
  arrival INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  run_id TEXT NOT NULL,
  id TEXT NOT NULL,
  handled INTEGER NOT NULL DEFAULT 0,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX run_inbox_id ON run_inbox (tenant, run_id, id);
CREATE INDEX run_inbox_unhandled ON run_inbox (tenant, run_id, arrival)
  WHERE NOT handled;
"""

_DEFINITIONS = """
CREATE TABLE definitions (
  tenant TEXT NOT NULL,
  digest TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX definitions_digest ON definitions (tenant, digest);

CREATE TABLE versions (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  decision_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, name, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX versions_decision
  ON versions (tenant, kind, name, decision_id);

CREATE TABLE heads (
  tenant TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX heads_id ON heads (tenant, kind, id);
"""

_DOORS = """
CREATE TABLE subjects (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  id TEXT NOT NULL PRIMARY KEY,
  tenant TEXT NOT NULL,
  created_at TEXT NOT NULL,
  revoked_at TEXT,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_created ON keys (tenant, created_at, id);

CREATE TABLE freeze (
  tenant TEXT NOT NULL,
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, scope, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  tenant TEXT NOT NULL,
  scope TEXT NOT NULL,
  scope_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  window TEXT NOT NULL,
  settled REAL NOT NULL DEFAULT 0,
  reserved REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, scope, scope_id, meter, window)
) STRICT, WITHOUT ROWID;

CREATE TABLE budgets (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  scope TEXT NOT NULL,
  scope_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  window TEXT NOT NULL,
  amount REAL NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, subject, route, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE capabilities (
  worker TEXT NOT NULL PRIMARY KEY,
  seen_at TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX capabilities_seen ON capabilities (seen_at);

CREATE TABLE leases (
  name TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

_POLICIES = """
CREATE TABLE policies (
  tenant TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""

_UNTOLD = """
CREATE INDEX decisions_untold ON decisions (recorded_at)
  WHERE state = 'expired' AND settled_at IS NULL;
"""

STEPS = (
    Step(1, "what the gate remembers", _GATE),
    Step(2, "runs", _RUNS),
    Step(3, "definitions", _DEFINITIONS),
    Step(4, "what the doors need", _DOORS),
    Step(5, "the policy in force", _POLICIES),
    Step(6, "conversations", CONVERSATIONS),
    Step(7, "records of doors", DOOR_RECORDS),
    Step(8, "expiries that nobody was told of", _UNTOLD),
)
"""How a file comes to these tables."""

COLLECTIONS: dict[str, str] = {
    **{
        table: f"SELECT count(*) FROM {table}"
        for table in (
            "decisions",
            "approvals",
            "effects",
            "ledger",
            "runs",
            "run_events",
            "run_inbox",
            "conversations",
            "conversation_inbox",
            "turn_events",
            "chat_history",
            "definitions",
            "keys",
            "subjects",
            "freeze",
            "policies",
            "usage",
            "budgets",
            "idempotency",
            "door_records",
            "capabilities",
            "leases",
            "meta",
        )
    },
    **{
        f"{kind}s".replace("knowledges", "knowledge"): (
            f"SELECT count(*) FROM heads WHERE kind = '{kind}'"
        )
        for kind in ("tool", "stage", "node", "workflow", "flow", "knowledge")
    },
}
"""How many rows a collection holds, by its name."""

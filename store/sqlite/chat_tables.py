"""The tables of conversations and of what doors keep; see schema."""

from __future__ import annotations

CONVERSATIONS = """
CREATE TABLE conversations (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT,
  created_at TEXT NOT NULL,
  flow TEXT,
  spoke_at TEXT,
  lease_owner TEXT,
  lease_until TEXT,
  wake_at TEXT,
  unheard INTEGER NOT NULL DEFAULT 0,
  due TEXT GENERATED ALWAYS AS (
    CASE
      WHEN lease_until IS NOT NULL AND (unheard OR wake_at IS NOT NULL)
        THEN lease_until
      WHEN unheard THEN ''
      ELSE wake_at
    END
  ) VIRTUAL,
  state TEXT NOT NULL,
  recollection TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversations_id ON conversations (tenant, id);
CREATE UNIQUE INDEX conversations_address ON conversations (tenant, kind, address)
  WHERE address IS NOT NULL;
CREATE INDEX conversations_created ON conversations (tenant, created_at, id);
CREATE INDEX conversations_subject
  ON conversations (tenant, subject, created_at, id);
CREATE INDEX conversations_due ON conversations (due, created_at)
  WHERE due IS NOT NULL;
CREATE INDEX conversations_leased ON conversations (lease_until)
  WHERE lease_until IS NOT NULL;

CREATE TABLE conversation_inbox (
  arrival INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  id TEXT NOT NULL,
  handled INTEGER NOT NULL DEFAULT 0,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversation_inbox_id
  ON conversation_inbox (tenant, conversation_id, id);
CREATE INDEX conversation_inbox_unhandled
  ON conversation_inbox (tenant, conversation_id, arrival) WHERE NOT handled;

CREATE TABLE turn_events (
  tenant TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  writer TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, conversation_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_history (
  tenant TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (tenant, conversation_id, n)
) STRICT, WITHOUT ROWID;
"""

DOOR_RECORDS = """
CREATE TABLE door_records (
  arrival INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  door TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  is_open INTEGER NOT NULL,
  expires_at TEXT,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX door_records_name ON door_records (tenant, door, kind, name);
CREATE INDEX door_records_open ON door_records (tenant, door, kind, arrival)
  WHERE is_open;
CREATE INDEX door_records_expiry ON door_records (expires_at)
  WHERE expires_at IS NOT NULL;
"""

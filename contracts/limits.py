"""Every limit on what may be said, in one place, by the name it is shown under."""

from __future__ import annotations

LIMITS: dict[str, int] = {
    "body_bytes": 1_048_576,
    "import_bytes": 20_971_520,
    "message_bytes": 262_144,
    "url_bytes": 8_192,
    "header_seconds": 15,
    "body_seconds": 30,
    "json_depth": 64,
    "json_keys": 100_000,
    "json_items": 100_000,
    "text_chars": 1_048_576,
    "yaml_nodes": 20_000,
    "yaml_scalar_chars": 262_144,
    "page_items": 200,
    "page_items_default": 50,
    "wait_seconds": 60,
    "graph_nodes": 500,
    "graph_edges": 2_000,
    "graph_fan_out": 100,
    "event_payload_bytes": 16_384,
    "run_output_bytes": 8_388_608,
    "inbox_items": 100,
    "sse_buffered_events": 1_000,
    "sse_streams_per_key": 50,
    "connections_per_address": 256,
    "largest_integer": 9_007_199_254_740_991,
}
"""Sizes in bytes, times in seconds, counts; shown at ``/api/v1/system/limits``."""

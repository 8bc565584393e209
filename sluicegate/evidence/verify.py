"""Checks the evidence beside this file with nothing but Python's standard library.

    python verify.py

Each line of ``ledger.jsonl`` is one link of the chain. A link's hash is the SHA-256
of the hash before it (32 bytes), its number (8 bytes, big-endian) and the digest of
its text (32 bytes). Texts are there for everything this evidence is about.
"""

import hashlib
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator

FIRST = "0" * 64


def problems(lines: Iterable[str]) -> Iterator[str]:
    """What is wrong with the chain, one sentence each."""
    prev, due = FIRST, 1
    for line in lines:
        entry = json.loads(line)
        n, digest, text = entry["n"], entry["body_digest"], entry.get("text")
        if n != due:
            yield f"entry {due} is missing: entry {n} stands in its place"

        linked = bytes.fromhex(prev) + n.to_bytes(8, "big") + bytes.fromhex(digest)
        if entry["prev"] != prev:
            yield f"entry {n} does not follow the one before it"

        if hashlib.sha256(linked).hexdigest() != entry["hash"]:
            yield f"entry {n} was altered: its hash does not fit"

        if text is not None and hashlib.sha256(text.encode()).hexdigest() != digest:
            yield f"entry {n} was altered: its text does not fit its digest"

        prev, due = entry["hash"], n + 1

    head = json.loads((HERE / "head.json").read_text("utf-8"))
    if head is not None and head["n"] >= due:
        yield f"the chain was cut after entry {due - 1}: the signed head is {head['n']}"


HERE = pathlib.Path(__file__).resolve().parent

if __name__ == "__main__":
    with (HERE / "ledger.jsonl").open(encoding="utf-8") as chain:
        found = list(problems(chain))

    for sentence in found:
        print(sentence)

    print("not intact" if found else "intact")
    sys.exit(1 if found else 0)

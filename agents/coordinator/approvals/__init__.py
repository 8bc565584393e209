"""Approvals: who may vote, what a vote changes, and how votes are carried out.

``voting`` is imported by its own name: it needs the gate, which needs the rest.
"""

from __future__ import annotations

from agents.coordinator.approvals.approvers import check_approver

__all__ = ["check_approver"]

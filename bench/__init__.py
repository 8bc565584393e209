"""Measures: each prints one JSON line; ``scripts/bench`` runs them all."""

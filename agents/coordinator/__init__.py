"""The gate: decisions are judged, recorded, released; people are asked and heard."""

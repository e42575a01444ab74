"""Figures by a second hand: what the documentation says, written down from its text alone, against what commands print."""

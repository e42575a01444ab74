"""Fits of how well each labeler labels, and their use as weights and scores (docs/labelers.md)."""

"""Labelers: fits of how well each of them labels, and what these are used for (docs/labelers.md)."""

"""Suspects: labels of a dataset that are likely wrong, by answers of versions that did not train on them (docs/suspects.md)."""

"""Labels of a dataset that are likely wrong, by answers of versions that did not train on the picture (docs/suspects.md)."""

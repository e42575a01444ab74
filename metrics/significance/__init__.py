"""Whether a figure may be chance: exact tests, two models on the same rows, and how many labels would decide."""

"""Counts become figures: the only code that divides them (tests/metrics/test_only_metrics_divides.py). Imports `contract`.

The same functions serve an evaluation (version.py), the assessment after training (held_out.py), gates (significance/),
reports and notebooks, so these cannot disagree.
"""

"""Evaluations, comparisons, replays and searches as HTML pages."""

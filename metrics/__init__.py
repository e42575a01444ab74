"""Counts become figures: the only code that divides. Imports `contract` alone."""

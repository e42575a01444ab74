"""Compaction: many small files of a day's rows become few."""

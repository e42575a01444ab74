"""Retention: pictures and rows are removed by age."""

"""Measuring the stored pictures of days and datasets."""

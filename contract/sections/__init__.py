"""Sections of the settings, each in a file of its own."""

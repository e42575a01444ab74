"""Versions that answer: the live one of a model, followed, and those that compute beside it."""

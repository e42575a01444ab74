"""Telling people and programs what happened to a model: events read from documents, sent at least once."""

"""Finds everything that holds a picture which is to be erased."""

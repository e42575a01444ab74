"""Replay: the logged pictures of a window are answered by another version, and both answers are compared."""

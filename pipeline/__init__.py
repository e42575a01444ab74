"""The order of things: stages, gates, the cycle and the command line, and whatever decides on a version."""

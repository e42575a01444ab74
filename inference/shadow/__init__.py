"""The shadow: a version that computes every answered picture once more, in a process of its own, when nobody waits."""

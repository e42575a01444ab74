"""Aligned tables for terminals: those of contract.terminal, under the name that the commands know."""

from contract.terminal import aligned, figure, printable, verdict

__all__ = ["aligned", "figure", "printable", "verdict"]

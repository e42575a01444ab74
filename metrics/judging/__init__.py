"""Verdicts from figures, as the cycle and whoever compares versions by hand judge: pass, fail, cannot tell."""

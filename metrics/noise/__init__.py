"""Accuracy behind label noise: how often single blind votes are wrong, told from how they agree, and what that hides."""

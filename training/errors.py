"""Errors of training that no other room raises."""

from contract.errors import TrainingFailed


class RankGone(Exception):
    """Another rank, or a worker process of this one, does not answer any more. Internal: the driver gets RankLost."""


class RankLost(TrainingFailed):
    """A rank, its executor or its machine is gone. Started again, training resumes from its checkpoint."""

"""How long a stage may take: after that the follower ends its cluster or application, whatever it is doing.

A busy YARN is not idle, so the idle policy never ends a stage that hangs.
"""

from datetime import datetime

from contract.settings import EmrSettings

MINUTES = {"evaluate": 360, "dataset": 360, "train": 1440, "assess": 120, "score": 1440,
           "replay": 1440, "tune": 1440}  # on a cluster, with its start
START_MINUTES = 30  # beside the service's own limit of a job on EMR Serverless, until the job runs


def find_minutes(settings: EmrSettings, stage: str) -> int:
    """Finds the minutes that a stage's cluster may live."""
    return settings.stage_minutes.get(stage, MINUTES[stage])


def find_job_minutes(settings: EmrSettings, stage: str) -> int:
    """Finds the minutes that a stage's job on EMR Serverless may run."""
    return settings.stage_minutes.get(stage, settings.serverless_minutes)


def is_late(began: datetime, now: datetime, minutes: float) -> bool:
    """Tells whether more than `minutes` have passed."""
    return (now - began).total_seconds() > minutes * 60


def explain_late(place: str, minutes: float) -> str:
    """Writes the error of a stage that took too long."""
    return (f"{place} gave no answer within {minutes:g} minutes and was ended: expected the stage to be done by then. Look at "
            f"its logs; if it needs longer, set emr.stage_minutes (stage: minutes). Started again, the run goes on.")

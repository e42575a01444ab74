"""Telling MLflow, where there is one, of trainings, assessments and what is live: what commands of several packages share."""

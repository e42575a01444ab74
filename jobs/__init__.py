"""The batch half: evaluation by three engines, datasets, batch scoring, reports."""

"""What mistakes cost: expected cost per 1,000 predictions, overall and per class, and thresholds chosen by it."""

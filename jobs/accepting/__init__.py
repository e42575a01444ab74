"""Labels by people, and a model's answers that thresholds accept in place of labels."""

"""What sections of evidence look like in `evaluation.json`, one file each."""

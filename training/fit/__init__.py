"""The fine-tuning loop: where it starts, its steps, its checkpoints, and its launch on several ranks."""

"""A search for settings of training: its documents."""

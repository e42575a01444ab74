"""The search for settings of training: the space, the trials, the workers that share them, and what was found."""

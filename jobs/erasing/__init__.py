"""Where a picture that must be forgotten is."""

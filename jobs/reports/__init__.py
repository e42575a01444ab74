"""An evaluation as a page that a person reads."""

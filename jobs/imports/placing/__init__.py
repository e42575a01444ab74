"""Under which day imported rows lie, and which prediction a label is of."""

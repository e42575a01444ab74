"""Which day imported rows belong to, and which prediction a label is of."""

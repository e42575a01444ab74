"""What the overview says of a model, read from the documents that are there."""

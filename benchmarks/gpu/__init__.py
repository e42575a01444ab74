"""All that a GPU has to show, in one run of ten minutes at most: `python -m benchmarks.gpu`."""

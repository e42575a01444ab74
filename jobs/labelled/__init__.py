"""Items: the labelled rows behind the counts (contract/rows/items.py), listed and written."""

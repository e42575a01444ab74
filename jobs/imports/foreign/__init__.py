"""Files of other systems as they are, each by a reader of its own."""

"""The raw rows of a day: which files they lie in, and reading some of them."""

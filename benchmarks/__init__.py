"""Programs that print the figures of docs/log.md and other pages; each says in its docstring how it is run."""

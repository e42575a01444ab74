"""Evidence: what needs the rows behind the counts, and is worked out when an evaluation asks for it."""

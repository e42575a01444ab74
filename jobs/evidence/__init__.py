"""Evidence: sections of an evaluation that need the rows behind the counts, and are made when it asks for them."""

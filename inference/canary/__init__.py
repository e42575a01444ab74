"""A canary as a replica sees it: which answers are its, what is counted of them, and when this replica stops at once."""

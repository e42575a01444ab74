"""A canary as a replica sees it: which predictions it answers, what is counted of them, and when the replica stops it."""

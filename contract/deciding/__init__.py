"""What people decide about what is live: one function for each decision, for the command line and the pages alike."""

"""Java and Spark started: which Java, which settings, one session, the store as a task sees it."""

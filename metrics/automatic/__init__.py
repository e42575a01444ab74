"""What thresholds automate: the share of answers that they accept, how many of those are right, and what a target would take."""

"""What is asked of people beside the samples: listed predictions, and labels that are likely wrong."""

"""Pictures and rows go by age."""

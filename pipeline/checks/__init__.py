"""What trueup doctor looks at."""

"""What the runs that made versions kept of their assessments, for whoever reads it later."""

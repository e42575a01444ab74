"""What the runs that made versions kept of their assessments, for who reads it later."""

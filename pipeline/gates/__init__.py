"""What a policy asks of the figures, and what it answers: pass, fail, cannot tell."""

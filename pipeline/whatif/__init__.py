"""What another policy would have said, day by day (`trueup gate --what-if POLICY.yaml`)."""

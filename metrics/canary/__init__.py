"""Whether a canary goes on: sequential tests of what replicas counted, and the decision by them."""

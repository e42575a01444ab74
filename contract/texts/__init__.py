"""What is written for people, one way everywhere."""

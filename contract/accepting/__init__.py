"""Which answers are accepted unseen, and which a person looks at: the thresholds that hold, and what they decide."""

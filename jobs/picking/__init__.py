"""Which unlabelled pictures to label next for training: uncertain ones that differ, sent to review as a list."""

"""Who carries a canary on: what is observed in the bucket, and the records that follow from it."""

"""The durable log: rows on this machine's disk before an answer, and their way into the bucket."""

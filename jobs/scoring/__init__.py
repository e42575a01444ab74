"""One part of batch scoring, as a Spark task runs it."""

"""The Spark engine: the same steps as DataFrames and as tasks that hold a day."""

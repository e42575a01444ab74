"""The embedded engine: DuckDB over the Parquet files of a day, on one machine. The default."""

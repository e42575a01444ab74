"""One module an engine: `embedded`, `spark`, `mapreduce`. Each has `count(storage, days, question)`."""

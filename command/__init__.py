"""What every command line shares: options, settings read, exit codes, tables for terminals, progress."""

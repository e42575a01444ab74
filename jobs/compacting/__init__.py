"""Many small files of a day's rows become few."""

"""What a month in an account costs: prices, the rates of machines, stages, the parts of the bill."""

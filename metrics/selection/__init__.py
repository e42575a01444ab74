"""What labels say of all predictions: how they were chosen, the estimate to believe, figures corrected for the choice."""

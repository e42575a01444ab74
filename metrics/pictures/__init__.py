"""From histograms of pictures to distances, shares and what is unusual."""

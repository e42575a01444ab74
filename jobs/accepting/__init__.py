"""Which answers of a model may be taken as labels, and what people said of the others."""

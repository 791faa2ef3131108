"""Training: turns a generation's plan into trained components, many children at once."""

"""Training: turns a generation's plan into trained components, many children at once (DESIGN section 4)."""

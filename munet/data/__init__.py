"""Tasks: where labelled images come from, how they are split, batched and augmented."""

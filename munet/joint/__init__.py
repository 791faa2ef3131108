"""Training a root from scratch, for those who have none: `munet pretrain`. No part of the paper."""

"""The ViT as components: one layer kind a Linen module, a component list to a forward pass, checkpoints in and out."""

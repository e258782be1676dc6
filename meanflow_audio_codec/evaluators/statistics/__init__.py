"""How sure a figure is: the bootstrap, and intervals over training seeds."""

"""The files of a training run: its folder, and checkpoints that an earlier version wrote."""

"""The methods a second time, in PyTorch: to read, to run, and to check the package against."""

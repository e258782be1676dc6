"""What the package's classifiers hear and see: the features and labels of the study's metrics."""

"""Networks, bottlenecks and the methods that train and sample them."""

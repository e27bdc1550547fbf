"""Fair comparisons with the textbook way of training binary networks and of searching their activations.

``python -m benchmarks`` prints ratios that were all measured in one run, in which both sides take turns. Nothing in the
toolkit imports this package.
"""

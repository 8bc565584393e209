"""What is meant: expressions, plans, graphs and folds, as pure functions."""

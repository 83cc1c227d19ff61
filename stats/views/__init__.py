"""Pages of the overview and the statistics."""

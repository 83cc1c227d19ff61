"""The console's pages of lists and suppressions."""

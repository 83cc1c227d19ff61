"""What can be asked of domains."""

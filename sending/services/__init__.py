"""What sending can be asked to do."""

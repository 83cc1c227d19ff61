"""What the recipients app can be asked to do."""

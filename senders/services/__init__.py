"""What can be asked of sender addresses and tags."""

"""What templates can be asked: writing, submitting, reviewing."""

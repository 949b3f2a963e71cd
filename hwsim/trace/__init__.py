"""What happened, from when to when."""

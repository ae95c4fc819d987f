"""Playing a plan on an opened device: launches, transfers, host steps."""

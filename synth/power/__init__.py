"""Power from activity and Liberty tables."""

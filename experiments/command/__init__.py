"""What every command has: start, end, places of results, reports."""

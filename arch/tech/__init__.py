"""Technology tables: comma-separated files whose every row names its source."""

"""The norm unit: layer and RMS norms of rows in fixed point."""

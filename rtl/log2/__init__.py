"""Logarithmic codes in silicon: by the leading one, or by a search among limits."""

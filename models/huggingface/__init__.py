"""Models of the transformers library, from configurations alone: nothing is ever downloaded."""

"""Readable PyTorch blocks of our own, where no library has the model or traces it well."""

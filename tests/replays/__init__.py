"""Published models replayed with the library: from a golden file's weights and inputs to the outputs it should have."""

"""How dates are written, where Django asks: as on our own pages."""

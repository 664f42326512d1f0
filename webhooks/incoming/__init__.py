"""What others send us: believed when it is proven, remembered, inspected, and acted on by an account of its own."""

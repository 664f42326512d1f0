"""The leak probe: which draft is asked for, how a site is asked, and what its answers give away."""

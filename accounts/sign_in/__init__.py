"""Coming in and staying in: passwords, second factors, sessions, tokens, and the mails about them."""

"""Who may come in, how much each may ask, and on whose behalf: accounts, sessions, tokens, limits."""

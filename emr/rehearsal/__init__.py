"""A rehearsal in an account: the smallest turn on generated digits, with a ceiling in dollars, and nothing left behind."""

"""Which predictions to ask about so that labels decide what a gate cannot tell."""

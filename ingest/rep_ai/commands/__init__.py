"""What each command does, a module each; what keeps it from that is a RepAiError, in one line."""

"""All that a person sees on a terminal."""

"""Where jobs are sent."""

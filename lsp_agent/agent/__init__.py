"""What happens: the session agent between the ports."""

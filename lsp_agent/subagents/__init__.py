"""Agents the agent can call: their definitions, and the tools that run them."""

"""The Gemini agent runtime: a step machine and the Trio shell that performs its effects. Knows no other package."""

__version__ = "0.1.0"

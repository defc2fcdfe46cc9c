"""Drives the DAP server with unmodified clients, against a daemon whose sessions keep taking turns."""

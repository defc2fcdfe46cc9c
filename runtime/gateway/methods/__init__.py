"""The methods of the gateway, one file a family. Each has a list `METHODS`, which `runtime.gateway.registry` reads."""

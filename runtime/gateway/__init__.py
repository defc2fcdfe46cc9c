"""The gateway: frames, handshake, authorization and methods of wire protocol 4. Nobody but runtime.app imports it."""

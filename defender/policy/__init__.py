"""What holds for the defender: a table of keys, a signed TOML bundle that sets them, the policy that is in force."""

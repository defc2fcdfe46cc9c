"""The defender against the team's harness in `../shared/acceptance/defender`, where that is there."""

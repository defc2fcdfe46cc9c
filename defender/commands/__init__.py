"""Judges shell commands: parses them, works out what is constant, and looks at every simple command. Runs nothing.

`assess` gives the decision with its score, `analyse` the tree with what it touches, `explain` the same as text. Deny
rules come first, then the list of the harmless, and everything else is a question for a person. What cannot be parsed,
worked out or held within the bounds is never allowed, and no text makes these functions raise.
"""

from defender.commands.analysis import Analysis, Step, analyse, assess, explain

__all__ = ["Analysis", "Step", "analyse", "assess", "explain"]

"""The Trio shell around the step machine: run queue, gate, deadlines, effects. Decides nothing; the machine does."""

"""Decisions about tools: approval modes and the tool lists of the settings. Pure; runs and asks nothing."""

from runtime.policy.modes import ApprovalJudge

__all__ = ["ApprovalJudge"]

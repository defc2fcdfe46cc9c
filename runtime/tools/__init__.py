"""The built-in tools, by Gemini CLI's names. Nothing is imported until a tool is fetched; no tool knows a session."""

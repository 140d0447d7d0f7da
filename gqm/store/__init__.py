"""The Redis side: pure typed commands, Lua scripts, and two thin shells that carry commands out."""

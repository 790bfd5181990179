"""The settings of every command: one frozen dataclass per command, without torch or any other heavy import."""

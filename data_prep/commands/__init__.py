"""The subcommands of `adora prep`, one file per group; each adds its parsers and runs them."""

"""adora-mm: reinforcement learning with verifiable rewards for geometry and mathematics."""

__version__ = "0.1.0"

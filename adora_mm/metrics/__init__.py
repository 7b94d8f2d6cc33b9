"""What a run writes down: JSONL always, TensorBoard when installed, the console for people."""

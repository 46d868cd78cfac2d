"""Studies of many training runs: ablation, and one domain left out at a time."""

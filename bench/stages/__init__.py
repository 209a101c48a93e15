"""What is measured, stage by stage: each starts the contenders it needs, and ends them."""

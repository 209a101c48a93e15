"""`sentinetctl watch`: what the daemon does, as it does it. Built on the control API and nothing else."""

"""`sentinetctl check`: what is wrong with a configuration, what it means that it did not mean in xinetd, what is in its
way on this host."""

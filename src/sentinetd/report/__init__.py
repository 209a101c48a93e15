"""Events made visible: how they look (`formats`), where they go (`sinks`)."""

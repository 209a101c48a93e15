"""Where services are is told to others: to rpcbind, and by mDNS. For the process that is named herald, without rights."""

"""Others are told where our services are: rpcbind, and the local network by mDNS. For the herald, without rights."""

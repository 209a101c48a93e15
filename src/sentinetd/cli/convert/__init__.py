"""From one super-server's configuration to another's, with a list of what is lost on the way.

Nothing here opens a socket or starts anything; what becomes of the text is the caller's affair.
"""

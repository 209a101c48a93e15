"""The nouns: frozen, slotted, compared by value. Nothing here opens, reads, waits or asks the time."""

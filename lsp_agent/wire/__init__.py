"""The wire: frames, JSON-RPC, the reader and writer threads, the bounded coalescing outbox."""

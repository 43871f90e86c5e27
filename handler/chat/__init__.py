"""Chat: conversations, the chat template, prompt safety and the service that answers. Pure: no I/O, no HTTP."""

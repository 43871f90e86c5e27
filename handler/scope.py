"""What the server tells the application of a request, besides HTTP: names in the ASGI scope that both sides know."""

# In scope["state"]: float, the `time.monotonic()` seconds at which the answer has to end. Absent: no limit.
DEADLINE = "deadline"

# In scope["extensions"]: the server passes an exception after the first byte on to the client's side as error trailers.
# Where it is announced, a stream that has told its failure raises; elsewhere it just ends.
ERROR_TRAILERS = "lambda.error_trailers"

# In scope["state"]: bytes that stand for whom the request is from, never a key itself. Absent: everybody is one.
TENANT = "tenant"

# In scope["state"]: str, the name of the key that the request came with. Absent: no key was needed.
KEY_NAME = "key_name"

# In the scope itself: the RequestRecord of a request. Put there by a server that writes it in the end, else by the
# application, which then does.
RECORD = "handler.record"

"""Lambda's side of the house: the Runtime API, events and their answers. It speaks ASGI to whatever it serves.

loop.serve_streaming              our Runtime API loop: answers leave as they are made
ric.serve_buffered                the same requests under awslambdaric: answers leave whole
runtime_client.report_init_error  for a composition root that cannot even make the application
"""

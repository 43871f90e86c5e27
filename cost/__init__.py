"""What so many requests a day cost on Lambda, beside servers that are always on and APIs that are paid by the token.

speeds      measured speeds, and what follows from them for a function of so much memory
prices      published prices, dated; the options replace and add to them
workload    requests a day of so many tokens
comparison  dollars a month of each way, and where two ways cost the same
picture     all ways over requests a day, as SVG
report      the same as text

Estimates, not a bill: the handler itself says what each request has cost (`LLM_REPORT_COST`, and its log line).
"""

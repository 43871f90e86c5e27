"""Lambda's log lines, to the letter."""

from lambda_local.report import Report, end_line, start_line


def test_a_cold_invocation() -> None:
    report = Report(request_id="r", duration=12.345, init_duration=380.5, memory_size=1769, max_memory_used=210)
    assert str(report) == (
        "REPORT RequestId: r\tDuration: 12.35 ms\tBilled Duration: 393 ms\tMemory Size: 1769 MB\t"
        "Max Memory Used: 210 MB\tInit Duration: 380.50 ms"
    )


def test_a_failed_invocation() -> None:
    report = Report(request_id="r", duration=1.0, memory_size=128, status="error", error_type="Runtime.ExitError")
    assert str(report) == (
        "REPORT RequestId: r\tDuration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\t"
        "Status: error\tError Type: Runtime.ExitError"
    )


def test_start_and_end() -> None:
    assert (start_line("r"), end_line("r")) == ("START RequestId: r Version: $LATEST", "END RequestId: r")

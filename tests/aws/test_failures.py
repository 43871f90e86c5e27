from handler.aws.failures import MAX_FRAMES, fault_of
from handler.errors import ContextLengthExceeded


def recurse(depth: int) -> None:
    if depth == 0:
        raise ValueError("quotes a prompt")
    recurse(depth - 1)


def test_our_own_message_is_told() -> None:
    error = ContextLengthExceeded(prompt_tokens=9, context_window=8)
    fault = fault_of(error)
    assert (fault.type, fault.message, fault.stack) == ("ContextLengthExceeded", error.message, ())


def test_of_another_exception_the_type_and_the_innermost_places_are_told() -> None:
    try:
        recurse(100)
    except ValueError as error:
        fault = fault_of(error)
    assert (fault.type, fault.message) == ("ValueError", "ValueError; its text is withheld, see the stack")
    assert len(fault.stack) == MAX_FRAMES
    assert all(frame.endswith(" recurse") for frame in fault.stack)
    assert b"quotes" not in fault.to_json()

"""The systems that are compared, one row each: what runs, on which weights, with which environment."""

from dataclasses import dataclass, replace

from tests.bench.machine import Machine
from tests.bench.names import NO_AMX, OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """`environment`: of `requirements/peer-NAME.txt`; empty for the repository's own. `bits`: of the weights."""

    name: str
    module: str
    weights: str
    bits: int
    environment: str = ""
    amx: bool = True  # whether it may use AMX where the processor has it

    @property
    def ours(self) -> bool:
        return self.name.startswith(OURS)

    @property
    def recipe(self) -> str:
        return self.weights if self.ours else ""


def _both(system: System) -> tuple[System, System]:
    """With AMX and without."""
    return system, replace(system, name=system.name + NO_AMX, amx=False)


_LLAMA, _OPENVINO, _GENAI = "llama.cpp", "openvino", "onnxruntime-genai"

_ALL: tuple[System, ...] = (
    *_both(System(name=f"{OURS} int8", module="ours", weights="int8", bits=8)),
    System(name=f"{OURS} int8, standard graph", module="standard", weights="int8", bits=8),
    System(name=f"{OURS} int8-blocks", module="ours", weights="int8-blocks", bits=8),
    System(name=f"{OURS} int4", module="ours", weights="int4", bits=4),
    System(name="llama.cpp Q8_0", module="llama", weights="q8_0", bits=8, environment=_LLAMA, amx=False),
    System(name="llama.cpp Q4_0", module="llama", weights="q4_0", bits=4, environment=_LLAMA, amx=False),
    System(name="llama.cpp Q4_1 (as shipped)", module="llama", weights="q4_1", bits=4, environment=_LLAMA, amx=False),
    *_both(
        System(name="OpenVINO GenAI int8", module="openvino", weights="openvino-int8", bits=8, environment=_OPENVINO)
    ),
    *_both(
        System(name="OpenVINO GenAI int4", module="openvino", weights="openvino-int4", bits=4, environment=_OPENVINO)
    ),
    System(name="onnxruntime-genai int4", module="genai", weights="genai-int4", bits=4, environment=_GENAI),
    System(name="optimum dynamic int8", module="optimum", weights="optimum-int8", bits=8),
    System(name="optimum fp32", module="optimum", weights="optimum-fp32", bits=32),
    System(name="torch fp32", module="torch", weights="checkpoint", bits=32),
)


def systems(machine: Machine) -> list[System]:
    """All of them; what differs only by AMX stands once where the processor has none."""
    return [system for system in _ALL if machine.has_amx or not system.name.endswith(NO_AMX)]

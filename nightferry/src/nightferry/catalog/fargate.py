"""The sizes that Fargate offers.

Source: Amazon ECS developer guide, "Task definition parameters for Fargate" (task size); Linux, platform 1.4.0.
"""

from __future__ import annotations

from dataclasses import dataclass

# CPU units (1024 = one vCPU) → the memory sizes that Fargate offers with them, in MiB.
SIZES: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
    32768: (61440, 122880, 249856),
}

INCLUDED_SCRATCH = 20  # GiB of ephemeral storage that every task has; it also stores the image's layers
LARGEST_SCRATCH = 200


@dataclass(frozen=True)
class Size:
    """A task's size on Fargate.

    Attributes:
        cpu: CPU units; 1024 is one vCPU.
        memory: memory in MiB. Fargate offers only some sizes with each number of CPU units.
    """

    cpu: int = 1024
    memory: int = 2048

    def find_problem(self) -> str | None:
        """Return why Fargate does not offer this size, with the sizes that it offers, or None if it offers it."""
        if self.cpu not in SIZES:
            return f"Fargate does not offer {self.cpu} CPU units. It offers {', '.join(map(str, SIZES))}."
        memories = SIZES[self.cpu]
        if self.memory in memories:
            return None
        fitting = [f"{cpu}/{self.memory}" for cpu, sizes in SIZES.items() if self.memory in sizes]
        hint = f" For {self.memory} MiB, use {' or '.join(fitting)}." if fitting else ""
        return (
            f"Fargate does not offer {self.cpu} CPU units with {self.memory} MiB. "
            f"{self.cpu} CPU units are available with {describe_memories(memories)}.{hint}"
        )


def describe_memories(memories: tuple[int, ...]) -> str:
    """Return the memory sizes in words, for a message or a page."""
    if len(memories) == 3:  # the sizes that are not in equal steps
        return f"{memories[0]}, {memories[1]} or {memories[2]} MiB"
    return f"{memories[0]} to {memories[-1]} MiB in steps of {memories[1] - memories[0]}"

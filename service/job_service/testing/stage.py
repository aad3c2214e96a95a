"""A registry as a test wants it: fakes in the place of resources, perhaps one job alone."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from job_service.jobs.registration.registry import Registry, require_registry
from job_service.jobs.registration.resource import RegisteredResource
from job_service.jobs.registration.schedule import Schedule


class Stage(Registry):
    """All job types of `registry`, with some of its resources, fakes in their place, and schedules.

    Raises ValueError if a fake has the name of no resource, or of one of processes.
    """

    def __init__(
        self,
        registry: Registry,
        fakes: Mapping[str, Any],
        *,
        resources: Iterable[str],
        schedules: list[Schedule],
    ) -> None:
        super().__init__()
        self.include(registry)
        for name in fakes:
            if name not in registry.resources:
                known = ", ".join(registry.resources) or "none"
                raise ValueError(f"there is no resource {name!r} to replace; known are {known}")
            if registry.resources[name].runs_in == "process":
                raise ValueError(f"{name!r} is opened in other processes, where no fake can go")
        wanted = set(resources)
        self._wanted = {
            name: _always(fakes[name]) if name in fakes else resource
            for name, resource in registry.resources.items()
            if name in wanted
        }
        self._wanted_schedules = schedules

    @property
    def resources(self) -> Mapping[str, RegisteredResource]:
        """Each resource that is needed: a fake is there already."""
        return self._wanted

    @property
    def schedules(self) -> list[Schedule]:
        """Those that are to tick."""
        return self._wanted_schedules


def whole(registry: Registry, fakes: Mapping[str, Any]) -> Registry:
    """All of the registry, with these fakes."""
    require_registry("virtual_service", registry)
    return Stage(registry, fakes, resources=registry.resources, schedules=registry.schedules)


def alone(registry: Registry, job_type: str, fakes: Mapping[str, Any]) -> Registry:
    """What one handler needs: the resources that it and its hooks take, and no schedule.

    Raises UnknownJobType if it is not registered.
    """
    require_registry("run", registry)
    needed = registry.lookup(job_type).needed_resources
    return Stage(registry, fakes, resources=needed, schedules=[])


def _always(fake: object) -> RegisteredResource:
    return RegisteredResource(lambda: nullcontext(fake), "loop")  # wherever it is used

"""The peer of Benchmarks compare: TrainingJobs in kopf. Prints one JSON line when its handler has seen OBJECTS objects;
with PATCHES, another with the status patches a second, with as many workers as kopf likes: from the first handler to the
event of the last patch."""
import asyncio, json, logging, os, random, time

import kopf

OBJECTS = int(os.environ["OBJECTS"])
PATCHES = int(os.environ.get("PATCHES", "0"))
MARK = random.randrange(1_000_000)
seen: set[str] = set()
patched: set[str] = set()
written: set[str] = set()
started = None


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_):
    settings.posting.enabled = False
    logging.getLogger("kopf").setLevel(logging.ERROR)
    if not OBJECTS:
        asyncio.get_running_loop().call_later(3, say, {"synced": True, "objects": 0})


def say(value):
    print(json.dumps(value), flush=True)


@kopf.on.event("trainyard.dev", "v1alpha1", "trainingjobs")
async def event(name, namespace, status, patch, **_):
    """What the handler puts into `patch`, kopf sends after it."""
    global started
    key = f"{namespace}/{name}"
    if key not in seen:
        seen.add(key)
        if len(seen) == OBJECTS:
            say({"synced": True, "objects": len(seen)})
    if key in patched:
        if len(written) < PATCHES and (status.get("restarts") or 0) >= MARK:
            written.add(key)
            if len(written) == PATCHES:
                say({"patchesPerSecond": PATCHES / (time.monotonic() - started)})
    elif len(patched) < PATCHES:
        started = started or time.monotonic()
        patched.add(key)
        patch.status["restarts"] = MARK + len(patched)

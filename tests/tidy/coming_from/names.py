"""Prints the public names of a package, a line each: what its modules export, and the methods of the
classes that programs use.

    python3 names.py eventlet > eventlet.txt

Needs eventlet and gevent installed. A module's names are those of its `__all__`, or else those that it
defines. What gevent.socket and gevent.ssl share with Python's own modules is `socket.*` and `ssl.*`.
"""

import importlib
import socket
import ssl
import sys
import types
import warnings

MODULES = {
    "eventlet": """. asyncio backdoor convenience corolocal dagpool db_pool debug event greenio greenpool
        greenthread hubs hubs.hub hubs.timer lock patcher pools queue semaphore timeout tpool websocket
        wsgi""",
    "gevent": """. backdoor baseserver contextvars core event events exceptions fileobject hub local lock
        monkey os pool pywsgi queue resolver.ares resolver.blocking resolver.dnspython resolver.thread
        select selectors server signal socket ssl subprocess thread threading threadpool time timeout
        util""",
    "asyncio": ". subprocess sslproto staggered",
}
CLASSES = {
    "eventlet": """greenthread.GreenThread event.Event greenpool.GreenPool greenpool.GreenPile
        queue.LightQueue queue.Queue semaphore.Semaphore semaphore.BoundedSemaphore
        semaphore.CappedSemaphore pools.Pool timeout.Timeout greenio.GreenSocket dagpool.DAGPool
        hubs.hub.BaseHub""",
    "gevent": """Greenlet event.AsyncResult event.Event pool.Group pool.Pool queue.Queue
        queue.JoinableQueue lock.Semaphore Timeout baseserver.BaseServer threadpool.ThreadPool hub.Hub
        hub.Waiter backdoor.BackdoorServer util.GreenletTree""",
    "asyncio": """Future Task AbstractEventLoop StreamReader StreamWriter AbstractServer Server Handle
        TimerHandle BaseTransport ReadTransport WriteTransport Transport DatagramTransport
        SubprocessTransport BaseProtocol Protocol BufferedProtocol DatagramProtocol SubprocessProtocol
        Queue Lock Event Condition Semaphore Barrier TaskGroup Timeout Runner subprocess.Process""",
}
SHARED = {"gevent.socket": socket, "gevent.ssl": ssl}


def defined(module, root):
    """The names that a module without `__all__` has of its own."""
    for name, value in vars(module).items():
        origin = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType):
            continue
        if module.__name__ == root:
            if callable(value) and origin.split(".")[0] in (root, "greenlet"):
                yield name
        elif origin == module.__name__ or (not origin and name.isupper()):
            yield name


def exported(module, root):
    names = getattr(module, "__all__", None) or defined(module, root)
    shared = SHARED.get(module.__name__)
    for name in names:
        is_module = isinstance(getattr(module, name, None), types.ModuleType)
        if not name.startswith("_") and not is_module and not hasattr(shared, name):
            yield name


def names(root):
    for part in MODULES[root].split():
        full = root if part == "." else f"{root}.{part}"
        prefix = "" if part == "." else f"{part}."
        for name in exported(importlib.import_module(full), root):
            yield prefix + name
        if full in SHARED:
            yield prefix + "*"
    for path in CLASSES[root].split():
        module, _, name = f"{root}.{path}".rpartition(".")
        for method in vars(getattr(importlib.import_module(module), name)):
            if not method.startswith("_"):
                yield f"{path}.{method}"


warnings.simplefilter("ignore")
print("\n".join(sorted(set(names(sys.argv[1])))))

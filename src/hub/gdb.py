"""Green threads in gdb, of a process or of a core file.

    (gdb) source gdb.py
    (gdb) green threads
    (gdb) green bt 7

Nothing is called in the program and none of its registers is written. It needs the program's symbols and,
for names of functions and lines, its debugging information. Green threads that have not begun have no
stack yet and are not listed, nor are spawned futures that wait for their wakers. On the engine `may` there is nothing to be read.
"""

import re
import struct

import gdb
from gdb.unwinder import Unwinder, register_unwinder

WORD = 8
# Stack pointer, where it goes on, frame pointer, and the other register that a switch saves: by architecture.
REGISTERS = {
    "i386:x86-64": ("rsp", "rip", "rbp", "rbx"),
    "aarch64": ("sp", "pc", "x29", "x19"),
}
# Functions and files that are not the program's own.
OURS = re.compile(r"^<?(&|mut |dyn )*(greenhub|green|core|std|alloc)::")
STD = re.compile(r"(^|/)library/(std|core|alloc)/|^/rustc/")
ENGINE = re.compile(r"(.*/)src/engine/own")
MOST_FRAMES = 200


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def words(address, count):
    return struct.unpack(f"<{count}Q", read(address, count * WORD))


def text(address, size):
    return read(address, size).decode("utf-8", "replace") if address and size else ""


def registers():
    name = gdb.selected_inferior().architecture().name()
    if name not in REGISTERS:
        raise gdb.GdbError(f"no green threads on the architecture {name}")
    return REGISTERS[name]


def register(frame, name):
    return int(frame.read_register(name)) % 2**64


class Layout:
    """Where things are: what `FOR_GDB` of src/hub/gdb.rs says."""

    def __init__(self):
        if gdb.selected_thread() is None:
            raise gdb.GdbError("there is neither a process nor a core file")
        mark, newest, *offsets = words(self.address(), 10)
        if mark.to_bytes(WORD, "little") != b"green 1\0":
            raise gdb.GdbError("this script is for another version of greenhub")
        self.newest_piece = newest
        (self.head, self.owner, self.id, self.name, self.word, self.kind, self.first, self.second) = offsets

    @staticmethod
    def address():
        listed = gdb.execute(r"info variables greenhub::hub::gdb::FOR_GDB", to_string=True)
        found = re.search(r"0x[0-9a-f]+(?=\s+\S*FOR_GDB)", listed)
        if not found:
            raise gdb.GdbError(
                "no green threads: the program has no symbols of greenhub, or green threads are switched by `may`"
            )
        return int(found[0], 16)

    def heads(self):
        """The head of each stack that was ever used, and the stack's lowest address."""
        (piece,) = words(self.newest_piece, 1)
        while piece:
            piece, start, stride, _, made = words(piece, 5)
            for n in range(made):
                top = start + (n + 1) * stride
                yield top - self.head, top - stride


class Thread:
    """A green thread that has begun."""

    def __init__(self, layout, head, bottom, task):
        self.context = words(head, 4)
        self.stack = range(bottom, head)
        (self.id,) = words(task + layout.id, 1)
        self.name = text(*words(task + layout.name, 2)) or "<unnamed>"
        self.runs_on = None
        (word,) = words(task + layout.word, 1)
        # A ticket is open: `Open` and `OpenMasked`.
        self.waits = word & 7 in (1, 2)
        kind = read(task + layout.kind, 1)[0]
        self.site = (kind, *words(task + layout.first, 1), *words(task + layout.second, 1))

    def state(self):
        if self.runs_on:
            return f"runs on thread {self.runs_on.num}"
        if not self.waits:
            return "ready"
        kind, first, second = self.site
        if kind == 5:
            return text(first, second)
        fd = struct.unpack("<i", struct.pack("<I", first % 2**32))[0]
        return [f"fd {fd} readable", f"fd {fd} writable", "sleep", "park", f"join of {first}"][kind]


def threads():
    layout = Layout()
    found = []
    for head, bottom in layout.heads():
        try:
            (task,) = words(head + layout.owner, 1)
            if task:
                found.append(Thread(layout, head, bottom, task))
        except gdb.MemoryError:
            pass  # A core file leaves out what was never used.
    find_running(found)
    return sorted(found, key=lambda thread: thread.id)


def find_running(green):
    """Notes which OS thread runs which green thread: one of its frames is on that stack."""
    selected = gdb.selected_thread()
    stacks = sorted(green, key=lambda thread: thread.stack.start)
    for os_thread in gdb.selected_inferior().threads():
        os_thread.switch()
        for frame in down_from(gdb.newest_frame()):
            on = owner_of(register(frame, registers()[0]), stacks)
            if on:
                on.runs_on = os_thread
                break
    selected.switch()


def owner_of(address, stacks):
    low, high = 0, len(stacks)
    while low < high:
        middle = (low + high) // 2
        if stacks[middle].stack.stop <= address:
            low = middle + 1
        else:
            high = middle
    return stacks[low] if low < len(stacks) and address in stacks[low].stack else None


def down_from(frame):
    for _ in range(MOST_FRAMES):
        if frame is None:
            return
        yield frame
        try:
            frame = frame.older()
        except gdb.error:
            return


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Parked(Unwinder):
    """Says that the selected thread's innermost frame was called by a parked green thread.

    So gdb finds the frames itself, and no register is written, which a core file would not allow."""

    def __init__(self):
        super().__init__("green")
        self.context = None

    def __call__(self, pending):
        if self.context is None:
            return None
        names = registers()
        here = tuple(int(pending.read_register(name)) % 2**64 for name in names[:2])
        if here != self.innermost:
            return None
        info = pending.create_unwind_info(FrameId(gdb.Value(self.context[0]), gdb.Value(self.context[1])))
        for name, value in zip(names, self.context):
            info.add_saved_register(name, gdb.Value(value))
        return info

    def frames(self, context):
        """What each frame of a fiber with this context is."""
        names = registers()
        innermost = gdb.newest_frame()
        self.innermost = (register(innermost, names[0]), register(innermost, names[1]))
        level = gdb.selected_frame().level()
        self.context = context
        try:
            gdb.invalidate_cached_frames()
            inner = True
            for frame in down_from(gdb.newest_frame()):
                inner = inner and register(frame, names[0]) != context[0]
                if not inner:
                    yield described(frame)
        finally:
            self.context = None
            gdb.invalidate_cached_frames()
            gdb.execute(f"frame level {level}", to_string=True)


PARKED = Parked()
register_unwinder(None, PARKED, replace=True)


def described(frame):
    """Address, function, file and place of a frame."""
    line = frame.find_sal()
    file, place = "", ""
    if line and line.symtab:
        file, place = line.symtab.fullname(), f" at {line.symtab.filename}:{line.line}"
    return frame.pc(), without_types(frame.name() or "??"), file, place


def without_types(name):
    """A function's name without the types that it was made for, which may take a page."""
    kept, depth = [], 0
    for at, letter in enumerate(name):
        if letter == "<" and at > 0:
            depth += 1
        elif letter == ">" and depth > 0 and name[at - 1] != "-":
            depth -= 1
        elif depth == 0:
            kept.append(letter)
    return "".join(kept)


def frames_of(thread):
    if thread.runs_on is None:
        yield from PARKED.frames(thread.context)
        return
    selected = gdb.selected_thread()
    thread.runs_on.switch()
    for frame in down_from(gdb.newest_frame()):
        yield described(frame)
    selected.switch()


def where(thread):
    """The innermost function of the program's own."""
    frames = list(frames_of(thread))
    ours = next((match[1] + "src/" for frame in frames if (match := ENGINE.match(frame[2]))), None)
    for _, name, file, place in frames:
        if OURS.match(name) or STD.search(file) or ours and file.startswith(ours):
            continue
        # Names may lack their paths, as those of functions in C do.
        if "::" in name or file.endswith(".rs"):
            return name + place
    return ""


class Green(gdb.Command):
    __doc__ = __doc__

    def __init__(self):
        super().__init__("green", gdb.COMMAND_STACK, prefix=True)


class GreenThreads(gdb.Command):
    """Lists the green threads: id, name, state, and the innermost function that is the program's own."""

    def __init__(self):
        super().__init__("green threads", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        rows = [(str(t.id), t.name, t.state(), where(t)) for t in threads()]
        widths = [max((len(row[at]) for row in rows), default=0) for at in range(3)]
        for id, name, state, place in rows:
            line = f"{id:>{widths[0]}}  {name:{widths[1]}}  {state:{widths[2]}}  {place}"
            gdb.write(line.rstrip() + "\n")
        gdb.write(f"{len(rows)} green threads have begun\n")


class GreenBacktrace(gdb.Command):
    """Shows the stack of the green thread with this id: green bt ID"""

    def __init__(self):
        super().__init__("green bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument.isdigit():
            raise gdb.GdbError("green bt ID, with an id that `green threads` shows")
        found = [thread for thread in threads() if thread.id == int(argument)]
        if not found:
            raise gdb.GdbError(f"no green thread has the id {argument}, or it has not begun")
        thread = found[0]
        gdb.write(f"green thread {thread.id} '{thread.name}': {thread.state()}\n")
        for level, (pc, name, _, place) in enumerate(list(frames_of(thread))):
            gdb.write(f"#{level:<3} {pc:#x} in {name}{place}\n")


Green()
GreenThreads()
GreenBacktrace()

"""Compile LLVM text to machine code, and cache it in a folder for later processes.

A file's name is a digest of the text, LLVM's version and the processor. The file begins with a digest of its name and
the rest, so a damaged file is compiled again. A folder that others may write is not used, because machine code is
trusted. If the folder is not writable, every process compiles its own kernels.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..runtime.files import cache_folder, replacing

__all__ = ["address_of"]

_engines: list[Any] = []  # keeps engines alive: LLVM frees an engine's code with the engine
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child of a process that compiles would wait for LLVM's locks forever
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_DIGEST = 32  # bytes


@cache
def _machine() -> tuple[Any, Any, str]:
    """Return LLVM's bindings, the target machine for this processor, and a text that identifies both."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    processor, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(cpu=processor, features=features, opt=3)
    return llvm, target, f"{llvm.llvm_version_info} {processor} {features}"


def _compile(text: str) -> bytes:
    llvm, machine, _ = _machine()
    module = llvm.parse_assembly(text)
    module.verify()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _trusted(path: Path) -> bool:
    """Return whether a file is a regular one, or none yet, and only this user can have written it."""
    folder = path.parent.stat()
    own = not hasattr(os, "getuid") or (folder.st_uid == os.getuid() and not folder.st_mode & 0o022)
    return own and (path.is_file() or not path.exists())


def _object_code(text: str) -> bytes:
    """Return the object code of LLVM text, from the folder if it is there."""
    name = hashlib.sha256(f"{text} {_machine()[2]}".encode()).hexdigest()
    path = cache_folder() / f"{name}.kernel"
    with suppress(OSError):
        if _trusted(path):
            cached = path.read_bytes()
            if hashlib.sha256(name.encode() + cached[_DIGEST:]).digest() == cached[:_DIGEST]:
                return cached[_DIGEST:]
    code = _compile(text)
    with suppress(OSError):  # a read-only folder or a full disk
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _trusted(path):
            with replacing(path) as temporary:
                temporary.write_bytes(hashlib.sha256(name.encode() + code).digest() + code)
    return code


def address_of(name: str, text: str) -> int:
    """Compile LLVM text for this processor, and return the address of the function of this name."""
    with _lock:  # also while LLVM's objects are freed, when the function below returns
        return _loaded(name, text)


def _loaded(name: str, text: str) -> int:
    llvm = _machine()[0]
    code = llvm.ObjectFileRef.from_data(_object_code(text))
    target = llvm.Target.from_default_triple().create_target_machine(opt=3)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(code)
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(name))

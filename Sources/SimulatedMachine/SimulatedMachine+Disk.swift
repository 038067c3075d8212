import Platform
import Synchronization
import Values

/// What the machine is told about files. None of these calls waits: a node may have a lock while
/// it writes. That disks are slow shows where blocking work begins (`waitForDisk`).
extension SimulatedMachine {
  package func willOpen(_ path: String, _ mode: File.Mode) {
    let ms = wallNow().milliseconds
    let isNew = mode.contains(.create) && DiskJournal.inode(at: path) == nil
    state.withLock { state in
      guard state.disk.host(of: path) != nil else { return }
      state.disk.willOpen(path, mode, ms: ms)
      // The name is the trace's: numbers of files are the kernel's.
      state.trace.add(.fileOpened, isNew ? 1 : 0, text: state.disk.told(path), at: state.now)
    }
    creating.withLock { $0 = isNew ? path : nil }
  }

  package func didOpen(_ path: String, as descriptor: Int32) {
    let ms = wallNow().milliseconds
    let isNew = creating.withLock { created in
      defer { created = nil }
      return created == path
    }
    state.withLock { state in
      if isNew { state.disk.created(path, ms: ms) }
      guard state.disk.opened(path, as: descriptor),
        let process = CurrentThread.number.flatMap({ state.scheduler.threads[$0].process })
      else { return }
      // What the process has open is taken from it when it is killed.
      state.processes[process].descriptors.insert(descriptor)
      state.openers[descriptor] = process
    }
  }

  package func willClose(_ descriptor: Int32) {
    state.withLock { state in
      // The kernel gives the number to the next file.
      state.disk.forget(descriptor)
      guard let process = state.openers.removeValue(forKey: descriptor) else { return }
      state.processes[process].descriptors.remove(descriptor)
    }
  }

  package func willWrite(
    _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at position: Int64?
  ) {
    let ms = wallNow().milliseconds
    state.withLock { state in
      let place = state.disk.write(descriptor, count: bytes.count, at: position, ms: ms)
      guard let place, let ordinal = state.disk.ordinal(of: descriptor) else { return }
      // What is written counts, not only where: the first difference between runs is found there.
      let content = MachineTrace.checksum(bytes) << 24 | bytes.count & 0xff_ffff
      state.trace.add(.fileWritten, ordinal, content ^ Int(place), at: state.now)
    }
  }

  package func willResize(_ descriptor: Int32, to size: Int64) {
    let ms = wallNow().milliseconds
    state.withLock { state in
      guard state.disk.resize(descriptor, to: size, ms: ms) != nil,
        let ordinal = state.disk.ordinal(of: descriptor)
      else { return }
      state.trace.add(.fileResized, ordinal, Int(size), at: state.now)
    }
  }

  package func sync(_ descriptor: Int32) {
    state.withLock { state in
      guard let ordinal = state.disk.ordinal(of: descriptor) else { return }
      state.trace.add(.fileSynced, ordinal, at: state.now)
      state.disk.sync(descriptor)
    }
  }

  package func willRename(_ path: String, to newPath: String) {
    state.withLock { state in
      state.trace.add(.renamed, 0, text: state.disk.told(newPath), at: state.now)
      state.disk.willRename(path, to: newPath)
    }
  }

  package func removeFile(_ path: String) -> Int32 {
    state.withLock { state in
      state.trace.add(.removed, 0, text: state.disk.told(path), at: state.now)
      return state.disk.remove(path)
    }
  }

  package func didCreateDirectory(_ path: String) {
    state.withLock { $0.disk.createdDirectory(path) }
  }

  package func willRemoveDirectory(_ path: String) {
    state.withLock { $0.disk.willRemoveDirectory(path) }
  }

  package func syncDirectory(_ path: String) {
    state.withLock { state in
      state.trace.add(.directorySynced, 0, text: state.disk.told(path), at: state.now)
      state.disk.syncDirectory(path)
    }
  }

  package func modifiedMs(inode: UInt64) -> Int64? { state.withLock { $0.disk.modified[inode] } }

  /// Mostly; now and then somebody else has needed the memory.
  package func isCached() -> Bool { state.withLock { $0.random.next() % 16 != 0 } }
}

import Bytes
import Platform

/// Where encoded bytes wait for the kernel. A class, so that a place in the queue can be written
/// to while others are.
final class OutputBuffer {
  /// The writer's fixed place: handed out as an address, because an accessor that yields a class's
  /// property would allocate its frame at every access.
  let place: UnsafeMutablePointer<ByteWriter>
  var writer: ByteWriter {
    unsafeAddress { UnsafePointer(place) }
    unsafeMutableAddress { place }
  }

  init() {
    place = .allocate(capacity: 1)
    place.initialize(to: ByteWriter(reserving: 4096))
  }

  deinit {
    place.deinitialize(count: 1)
    place.deallocate()
  }

  /// Bytes to send, spliced ones included.
  var count: Int { writer.count + writer.splicedCount }
}

/// The output buffers of one loop. A connection has one only while it owes something, so that idle
/// connections cost little and large buffers serve many.
final class BufferPool {
  private var spare: [OutputBuffer] = []

  /// The pool of a loop; on that loop.
  static func of(_ loop: EventLoop) -> BufferPool {
    let key = ObjectIdentifier(BufferPool.self)
    if let pool = loop.attachments[key] as? BufferPool { return pool }
    let pool = BufferPool()
    loop.attachments[key] = pool
    return pool
  }

  func take() -> OutputBuffer { spare.popLast() ?? OutputBuffer() }

  /// Takes a buffer back, unless there are plenty; at most 16 MiB stay here.
  func give(_ buffer: OutputBuffer) {
    guard spare.count < 16 else { return }
    buffer.writer.removeAll(keepingAtMost: 1 << 20)
    spare.append(buffer)
  }
}

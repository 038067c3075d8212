/// Bytes that have come but are not a whole frame yet.
///
/// Most connections have none between turns: reads land in the loop's scratch memory and only an
/// incomplete frame is kept here, so that an idle connection holds no buffer.
struct InputBuffer: ~Copyable {
  private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var start = 0
  private var end = 0

  deinit { memory.deallocate() }

  var count: Int { end - start }
  var isEmpty: Bool { start == end }
  var freeCount: Int { memory.count - end }

  /// What is held, in place.
  var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: memory[start..<end])
  }

  /// Room behind what is held, for a read to land in.
  var free: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: memory[end..<memory.count])
  }

  /// Makes room for so many bytes more in all. Callers ask for what has arrived, or twice of it:
  /// a length that only was announced must not decide.
  mutating func reserve(_ more: Int) {
    if freeCount >= more { return }
    let held = count
    if start > 0, memory.count - held >= more {
      // Overlapping is fine: copyMemory is a memmove.
      if let base = memory.baseAddress { base.copyMemory(from: base + start, byteCount: held) }
      start = 0
      end = held
      return
    }
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(4096, held + more), alignment: 16)
    if held > 0 { larger.copyMemory(from: UnsafeRawBufferPointer(bytes)) }
    memory.deallocate()
    memory = larger
    start = 0
    end = held
  }

  /// Notes that a read has put so many bytes into `free`.
  mutating func filled(_ count: Int) { end += count }

  mutating func append(_ more: UnsafeMutableRawBufferPointer) {
    guard more.count > 0 else { return }
    reserve(more.count)
    free.copyMemory(from: UnsafeRawBufferPointer(more))
    end += more.count
  }

  /// Lets go of the first bytes; an empty buffer lets go of its memory.
  mutating func consume(_ count: Int) {
    start += count
    if start == end { release() }
  }

  mutating func release() {
    memory.deallocate()
    memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    start = 0
    end = 0
  }
}

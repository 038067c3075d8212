import Glibc

/// A time of day that is wrong on purpose, for drills: administrators set clocks, and machines wake
/// up with the time of last week.
///
/// A process that is started with `JACKDAW_CLOCK_OFFSET_FILE` maps that file, whose first eight
/// bytes are milliseconds to be added to its time of day, in the machine's byte order. Whoever
/// writes them makes the clock jump at that moment. The monotonic clock is never touched.
public enum ClockOffset {
  public static let variable = "JACKDAW_CLOCK_OFFSET_FILE"

  /// Where the offset lies; 0 without one. Mapped for as long as the process lives.
  private static let address: UInt = {
    guard let path = ProcessInformation.environment[variable] else { return 0 }
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return 0 }
    defer { close(descriptor) }
    // A mapping of bytes that the file does not have would be deadly to read.
    guard ftruncate(descriptor, off_t(MemoryLayout<Int64>.size)) == 0,
      let start = mmap(nil, MemoryLayout<Int64>.size, PROT_READ, MAP_SHARED, descriptor, 0),
      start != MAP_FAILED
    else { return 0 }
    return UInt(bitPattern: start)
  }()

  static var milliseconds: Int64 {
    guard let place = UnsafePointer<Int64>(bitPattern: address) else { return 0 }
    return place.pointee
  }

  /// Makes the clock of the processes that have mapped a file jump.
  public static func set(_ milliseconds: Int64, in path: String) throws(SystemError) {
    let file = try File(path, [.read, .write, .create])
    try file.write(withUnsafeBytes(of: milliseconds) { Array($0) }, at: 0)
  }
}
